import { graphql } from '../../../generated/gql.ts'

export const OwnTemplatesQuery = graphql(`
  query OwnTemplates {
    viewer { user { id } }
    templates(first: 200) {
      nodes {
        id
        name
        author { id }
      }
    }
  }
`)

export const SaveTemplate = graphql(`
  mutation SaveTemplate($input: CreateTemplateInput!) {
    createTemplate(input: $input) {
      ... on CreateTemplatePayload { template { id name } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const DeleteTemplate = graphql(`
  mutation DeleteTemplate($input: DeleteTemplateInput!) {
    deleteTemplate(input: $input) {
      ... on DeleteTemplatePayload { templateId }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
