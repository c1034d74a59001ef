import { graphql } from '../../../generated/gql.ts'

export const DocumentsQuery = graphql(`
  query Documents($sessionId: ID!, $after: Cursor) {
    viewer { role user { id } }
    session(id: $sessionId) {
      id
      viewerRole
      documents { ...DocumentRow }
    }
    documents(first: 50, after: $after) {
      nodes { ...DocumentRow }
      totalCount
      pageInfo { hasNextPage endCursor }
    }
  }
`)

export const DocumentRow = graphql(`
  fragment DocumentRow on Document {
    id
    title
    mimeType
    bytes
    status
    progress
    chunkCount
    error
    createdAt
    user { id }
  }
`)

export const DocumentIndexed = graphql(`
  subscription DocumentIndexed($id: ID!) {
    documentChanged(id: $id) {
      ...DocumentRow
    }
  }
`)

export const CreateDocument = graphql(`
  mutation CreateDocument($input: CreateDocumentInput!) {
    createDocument(input: $input) {
      ... on CreateDocumentPayload { document { ...DocumentRow } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const SetSessionDocuments = graphql(`
  mutation SetSessionDocuments($input: UpdateSessionInput!) {
    updateSession(input: $input) {
      ... on UpdateSessionPayload { session { id documents { ...DocumentRow } } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const DeleteDocument = graphql(`
  mutation DeleteDocument($input: DeleteDocumentInput!) {
    deleteDocument(input: $input) {
      ... on DeleteDocumentPayload { documentId }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
