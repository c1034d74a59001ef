import { queryFromInfo } from '@pothos/plugin-prisma'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { readUserPage, userPageSizes } from './list.ts'
import { User } from './schema.ts'

builder.queryField('users', (t) =>
  t.field({
    type: connectionOf('User', User, 'user'),
    authScopes: { admin: true },
    description: 'The users of the tenant, for admins; those who came last stand first.',
    complexity: pageComplexity(userPageSizes),
    args: {
      ...pageArgs(t.arg, userPageSizes),
      search: t.arg.string({ description: 'Whose name, email or external id contains this, in any case.' }),
    },
    resolve: (_root, args, context, info) => {
      const query = queryFromInfo({ context, info, typeName: 'User', paths: [['nodes'], ['edges', 'node']] })
      return readUserPage(viewerOf(context), args, query)
    },
  }),
)
