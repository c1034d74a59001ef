/**
 * @generated SignedSource<<8cb5b82eb7481c88eacb0db4ab24fe0c>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ConcreteRequest } from 'relay-runtime';
import type { FragmentRefs } from "relay-runtime";
export type ContextPolicyKind = "FULL" | "HIERARCHICAL" | "LAST_MESSAGES" | "RETRIEVAL" | "SUMMARIZE" | "TOKEN_BUDGET" | "%future added value";
export type ErrorCode = "BAD_USER_INPUT" | "CONFLICT" | "FORBIDDEN" | "INTERNAL_SERVER_ERROR" | "LIMIT_EXCEEDED" | "MODEL_UNAVAILABLE" | "NOT_FOUND" | "RATE_LIMITED" | "RUN_IN_PROGRESS" | "UNAUTHENTICATED" | "%future added value";
export type CreateSessionInput = {
  agent?: string | null | undefined;
  clientId?: string | null | undefined;
  contextPolicy?: ContextPolicyInput | null | undefined;
  documentIds?: ReadonlyArray<string> | null | undefined;
  externalUserId?: string | null | undefined;
  metadata?: any | null | undefined;
  model?: string | null | undefined;
  parameters?: any | null | undefined;
  systemPrompt?: string | null | undefined;
  tags?: ReadonlyArray<string> | null | undefined;
  template?: string | null | undefined;
  title?: string | null | undefined;
  userId?: string | null | undefined;
};
export type ContextPolicyInput = {
  keepLast?: number | null | undefined;
  kind: ContextPolicyKind;
  memories?: boolean | null | undefined;
  messages?: number | null | undefined;
  passages?: number | null | undefined;
  tokens?: number | null | undefined;
};
export type operationsCreateMutation$variables = {
  connections: ReadonlyArray<string>;
  input: CreateSessionInput;
};
export type operationsCreateMutation$data = {
  readonly createSession: {
    readonly code?: ErrorCode;
    readonly message?: string;
    readonly session?: {
      readonly id: string;
      readonly " $fragmentSpreads": FragmentRefs<"operationsTitle">;
    };
  };
};
export type operationsCreateMutation = {
  response: operationsCreateMutation$data;
  variables: operationsCreateMutation$variables;
};

const node: ConcreteRequest = (function(){
var v0 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "connections"
},
v1 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "input"
},
v2 = [
  {
    "kind": "Variable",
    "name": "input",
    "variableName": "input"
  }
],
v3 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "id",
  "storageKey": null
},
v4 = {
  "kind": "InlineFragment",
  "selections": [
    {
      "alias": null,
      "args": null,
      "kind": "ScalarField",
      "name": "code",
      "storageKey": null
    },
    {
      "alias": null,
      "args": null,
      "kind": "ScalarField",
      "name": "message",
      "storageKey": null
    }
  ],
  "type": "Error",
  "abstractKey": "__isError"
};
return {
  "fragment": {
    "argumentDefinitions": [
      (v0/*:: as any*/),
      (v1/*:: as any*/)
    ],
    "kind": "Fragment",
    "metadata": null,
    "name": "operationsCreateMutation",
    "selections": [
      {
        "alias": null,
        "args": (v2/*:: as any*/),
        "concreteType": null,
        "kind": "LinkedField",
        "name": "createSession",
        "plural": false,
        "selections": [
          {
            "kind": "InlineFragment",
            "selections": [
              {
                "alias": null,
                "args": null,
                "concreteType": "Session",
                "kind": "LinkedField",
                "name": "session",
                "plural": false,
                "selections": [
                  (v3/*:: as any*/),
                  {
                    "args": null,
                    "kind": "FragmentSpread",
                    "name": "operationsTitle"
                  }
                ],
                "storageKey": null
              }
            ],
            "type": "CreateSessionPayload",
            "abstractKey": null
          },
          (v4/*:: as any*/)
        ],
        "storageKey": null
      }
    ],
    "type": "Mutation",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": [
      (v1/*:: as any*/),
      (v0/*:: as any*/)
    ],
    "kind": "Operation",
    "name": "operationsCreateMutation",
    "selections": [
      {
        "alias": null,
        "args": (v2/*:: as any*/),
        "concreteType": null,
        "kind": "LinkedField",
        "name": "createSession",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "__typename",
            "storageKey": null
          },
          {
            "kind": "InlineFragment",
            "selections": [
              {
                "alias": null,
                "args": null,
                "concreteType": "Session",
                "kind": "LinkedField",
                "name": "session",
                "plural": false,
                "selections": [
                  (v3/*:: as any*/),
                  {
                    "alias": null,
                    "args": null,
                    "kind": "ScalarField",
                    "name": "title",
                    "storageKey": null
                  }
                ],
                "storageKey": null
              },
              {
                "alias": null,
                "args": null,
                "filters": null,
                "handle": "appendNode",
                "key": "",
                "kind": "LinkedHandle",
                "name": "session",
                "handleArgs": [
                  {
                    "kind": "Variable",
                    "name": "connections",
                    "variableName": "connections"
                  },
                  {
                    "kind": "Literal",
                    "name": "edgeTypeName",
                    "value": "SessionEdge"
                  }
                ]
              }
            ],
            "type": "CreateSessionPayload",
            "abstractKey": null
          },
          (v4/*:: as any*/)
        ],
        "storageKey": null
      }
    ]
  },
  "params": {
    "cacheID": "9cecd18706eaaabb31e40ba7ea8d861c",
    "id": null,
    "metadata": {},
    "name": "operationsCreateMutation",
    "operationKind": "mutation",
    "text": "mutation operationsCreateMutation(\n  $input: CreateSessionInput!\n) {\n  createSession(input: $input) {\n    __typename\n    ... on CreateSessionPayload {\n      session {\n        id\n        ...operationsTitle\n      }\n    }\n    ... on Error {\n      __isError: __typename\n      code\n      message\n    }\n  }\n}\n\nfragment operationsTitle on Session {\n  title\n}\n"
  }
};
})();

(node as any).hash = "157f1caac81cc3362234954c3e6f63d2";

export default node;
