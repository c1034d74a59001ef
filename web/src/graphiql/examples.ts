type Example = { query: string; variables: string }

const example = (query: string, variables?: Record<string, string>): Example => ({
  query,
  variables: variables ? JSON.stringify(variables, null, 2) : '',
})

const create = `# 1. Create a session, a conversation with an
# agent. Press the play button: the other tabs
# then have the session's id in their variables.
mutation Create($title: String) {
  createSession(
    input: { title: $title, agent: "primary" }
  ) {
    ... on CreateSessionPayload {
      session {
        id
        title
      }
    }
    ... on Error {
      code
      message
    }
  }
}`

const send = `# 2. Send a message. This returns at once; the
# reply is being written, and whoever watches
# the session sees it grow.
mutation Send(
  $sessionId: ID!
  $content: String!
) {
  sendMessage(
    input: {
      sessionId: $sessionId
      content: $content
    }
  ) {
    ... on SendMessagePayload {
      userMessage {
        id
      }
      assistantMessage {
        id
        status
      }
      run {
        id
        status
      }
    }
    ... on Error {
      code
      message
    }
  }
}`

const watch = `# 3. Watch the session live. Press play, open this
# page in a second browser tab and run Send there:
# every event arrives here, the reply word by word.
subscription Watch($sessionId: ID!) {
  sessionEvents(sessionId: $sessionId) {
    __typename
    cursor
    at
    ...Start
    ...Added
    ...Words
    ...Updated
    ...Finished
  }
}

fragment Start on SessionSnapshot {
  reason
  messages {
    id
    role
    status
    content
  }
}

fragment Added on MessageAdded {
  message {
    id
    role
    content
  }
}

fragment Words on TextDelta {
  messageId
  offset
  text
}

fragment Updated on MessageUpdated {
  message {
    id
    status
    content
  }
}

fragment Finished on RunFinished {
  run {
    id
    status
    usage {
      inputTokens
      outputTokens
    }
  }
}`

const list = `# 4. List what is stored: who you are, and your
# latest sessions with their last messages.
query List {
  viewer {
    user {
      id
      name
    }
    tenant {
      slug
    }
  }
  sessions(first: 5) {
    totalCount
    nodes {
      id
      title
      messageCount
      lastMessageAt
      messages(last: 4) {
        nodes {
          role
          status
          content
        }
      }
    }
  }
}`

/** What a first visit opens, in the order in which a newcomer runs it. Lines fit a window 1280 pixels wide. */
export const exampleTabs: [Example, ...Example[]] = [
  example(create, { title: 'My first session' }),
  example(send, { sessionId: '', content: 'Tell me about the sea.' }),
  example(watch, { sessionId: '' }),
  example(list),
]
