const cleanups: (() => unknown)[] = []

/** Has it run when the tests of the present file are over, whatever became of them: the last one given goes first. */
export function atEndOfFile(clean: () => unknown) {
  cleanups.push(clean)
}

/** Leaves nothing behind for the next file, also where something cannot be stopped. */
export async function cleanUp() {
  const faults: unknown[] = []
  for (const clean of cleanups.splice(0).reverse()) {
    try {
      await clean()
    } catch (error) {
      faults.push(error)
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, 'Not everything was cleaned up.')
}
