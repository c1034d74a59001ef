import { graphql } from '../../../generated/gql.ts'

export const ModelSettingsQuery = graphql(`
  query ModelSettings($sessionId: ID!) {
    session(id: $sessionId) {
      id
      viewerRole
      ...SessionModelSettings
      agent {
        id
        name
        model
        parameters
        systemPrompt
        contextPolicy { kind messages tokens keepLast passages memories }
      }
    }
    models {
      id
      provider
      name
      contextWindow
      capabilities
      status
      isAllowed
      isDefault
      defaultParameters
      pricing { input output cachedInput }
    }
  }
`)

export const SessionModelSettings = graphql(`
  fragment SessionModelSettings on Session {
    id
    model
    parameters
    systemPrompt
    contextPolicy { kind messages tokens keepLast passages memories }
  }
`)

export const SaveModelSettings = graphql(`
  mutation SaveModelSettings($input: UpdateSessionInput!) {
    updateSession(input: $input) {
      ... on UpdateSessionPayload { session { ...SessionModelSettings } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
