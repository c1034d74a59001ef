import pg from 'pg'

let isHeard = false

/**
 * Some libraries take all listeners from a connection of pg before they end it: pg-boss does where the database goes away.
 * What such a connection has to tell after that nobody would hear, and an error that nobody hears ends the process.
 */
export function hearLostConnections(): void {
  if (isHeard) return
  isHeard = true
  const { prototype } = pg.Client
  const { removeAllListeners } = prototype
  prototype.removeAllListeners = function (...names) {
    removeAllListeners.apply(this, names)
    return this.off('error', unheard).on('error', unheard)
  }
}

const unheard = () => {}
