import { createContext } from 'react'

/** Where the page sends what Apollo cannot, and as whom. */
export const ServerContext = createContext({ endpoint: '', token: '' })
