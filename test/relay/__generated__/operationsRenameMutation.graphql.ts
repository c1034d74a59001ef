/**
 * @generated SignedSource<<73f7dbc0b260d868c99cb62e9e104ede>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ConcreteRequest } from 'relay-runtime';
export type ContextPolicyKind = "FULL" | "HIERARCHICAL" | "LAST_MESSAGES" | "RETRIEVAL" | "SUMMARIZE" | "TOKEN_BUDGET" | "%future added value";
export type ErrorCode = "BAD_USER_INPUT" | "CONFLICT" | "FORBIDDEN" | "INTERNAL_SERVER_ERROR" | "LIMIT_EXCEEDED" | "MODEL_UNAVAILABLE" | "NOT_FOUND" | "RATE_LIMITED" | "RUN_IN_PROGRESS" | "UNAUTHENTICATED" | "%future added value";
export type UpdateSessionInput = {
  agent?: string | null | undefined;
  contextPolicy?: ContextPolicyInput | null | undefined;
  documentIds?: ReadonlyArray<string> | null | undefined;
  isActive?: boolean | null | undefined;
  metadata?: any | null | undefined;
  model?: string | null | undefined;
  parameters?: any | null | undefined;
  sessionId: string;
  systemPrompt?: string | null | undefined;
  tags?: ReadonlyArray<string> | null | undefined;
  title?: string | null | undefined;
};
export type ContextPolicyInput = {
  keepLast?: number | null | undefined;
  kind: ContextPolicyKind;
  memories?: boolean | null | undefined;
  messages?: number | null | undefined;
  passages?: number | null | undefined;
  tokens?: number | null | undefined;
};
export type operationsRenameMutation$variables = {
  input: UpdateSessionInput;
};
export type operationsRenameMutation$data = {
  readonly updateSession: {
    readonly __typename: string;
    readonly code?: ErrorCode;
    readonly message?: string;
  };
};
export type operationsRenameMutation = {
  response: operationsRenameMutation$data;
  variables: operationsRenameMutation$variables;
};

const node: ConcreteRequest = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "input"
  }
],
v1 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "input",
        "variableName": "input"
      }
    ],
    "concreteType": null,
    "kind": "LinkedField",
    "name": "updateSession",
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
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "operationsRenameMutation",
    "selections": (v1/*:: as any*/),
    "type": "Mutation",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "operationsRenameMutation",
    "selections": (v1/*:: as any*/)
  },
  "params": {
    "cacheID": "e9f327f718fe4b1b4a389a005e733c17",
    "id": null,
    "metadata": {},
    "name": "operationsRenameMutation",
    "operationKind": "mutation",
    "text": "mutation operationsRenameMutation(\n  $input: UpdateSessionInput!\n) {\n  updateSession(input: $input) {\n    __typename\n    ... on Error {\n      __isError: __typename\n      code\n      message\n    }\n  }\n}\n"
  }
};
})();

(node as any).hash = "cc904f6ca696c58ca3d3c95e0d242fda";

export default node;
