/** Puts a task off to the end of this turn of the event loop; what tasks put off there is done there, too. */
export type TurnEnd = (task: () => void) => void

/** Tasks run in the order in which they came. */
export function createTurnEnd(): TurnEnd {
  let tasks: (() => void)[] = []

  function run() {
    let done = 0
    try {
      for (const task of tasks) {
        done += 1
        task()
      }
    } finally {
      tasks = tasks.slice(done)
      // One that failed keeps nobody else from theirs.
      if (tasks.length > 0) setImmediate(run)
    }
  }

  return (task) => {
    if (tasks.push(task) === 1) setImmediate(run)
  }
}
