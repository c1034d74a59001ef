/**
 * @generated SignedSource<<c31d3842d33a3823cb0da86659c00f2a>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ReaderFragment } from 'relay-runtime';
import type { FragmentRefs } from "relay-runtime";
export type operationsTitle$data = {
  readonly title: string | null | undefined;
  readonly " $fragmentType": "operationsTitle";
};
export type operationsTitle$key = {
  readonly " $data"?: operationsTitle$data;
  readonly " $fragmentSpreads": FragmentRefs<"operationsTitle">;
};

const node: ReaderFragment = {
  "argumentDefinitions": [],
  "kind": "Fragment",
  "metadata": null,
  "name": "operationsTitle",
  "selections": [
    {
      "alias": null,
      "args": null,
      "kind": "ScalarField",
      "name": "title",
      "storageKey": null
    }
  ],
  "type": "Session",
  "abstractKey": null
};

(node as any).hash = "ec6e321643269052146ca107908c2870";

export default node;
