import { graphql } from '../../../generated/gql.ts'

export const ExportSession = graphql(`
  mutation ExportSession($input: ExportSessionInput!) {
    exportSession(input: $input) {
      ... on ExportSessionPayload { url filename }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const ImportSession = graphql(`
  mutation ImportSession($input: ImportSessionInput!) {
    importSession(input: $input) {
      ... on ImportSessionPayload {
        messageCount
        sessions { id title messageCount }
      }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
