export { type ClientErrorCode, type FieldFault, ParleyError, type ParleyErrorCode } from './errors.ts'
