import { graphql } from '../../../generated/gql.ts'

export const ParticipantsQuery = graphql(`
  query Participants($sessionId: ID!) {
    viewer { role user { id } }
    session(id: $sessionId) {
      id
      viewerRole
      user { id }
      present { id }
      participants {
        role
        since
        user { id name email externalId }
      }
    }
  }
`)

export const PeopleQuery = graphql(`
  query People($search: String!) {
    users(search: $search, first: 8) { nodes { id name email externalId } }
  }
`)

export const AddParticipant = graphql(`
  mutation AddParticipant($input: AddParticipantInput!) {
    addParticipant(input: $input) {
      ... on AddParticipantPayload {
        session { id participants { role since user { id name email externalId } } }
      }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const UpdateParticipant = graphql(`
  mutation UpdateParticipant($input: UpdateParticipantInput!) {
    updateParticipant(input: $input) {
      ... on UpdateParticipantPayload {
        session { id participants { role since user { id name email externalId } } }
      }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const RemoveParticipant = graphql(`
  mutation RemoveParticipant($input: RemoveParticipantInput!) {
    removeParticipant(input: $input) {
      ... on RemoveParticipantPayload { user { id } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
