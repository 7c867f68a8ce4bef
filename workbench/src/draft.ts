/** In charge of drafting an application from a denial: a mutation and its variables, built from the schema's own types. */

import {
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';

import type { Remedy } from './denials';
import { say } from './words';

export interface Draft {
  query: string;
  variables: string;
}

const DEPTH = 4;

/** The mutation that `remedy` names, with resource, items, relations and purpose filled in; null when the schema lacks it. */
export function draftApplication(schema: GraphQLSchema, remedy: Remedy, purpose: string): Draft | null {
  const name = remedy.mutation;
  const field = name ? schema.getMutationType()?.getFields()[name] : undefined;
  if (!name || !field) {
    return null;
  }
  const known: Known = { resource: remedy.resource ?? '', items: remedy.items, relations: remedy.relations, purpose };
  const declared = field.args.map((argument) => `$${argument.name}: ${String(argument.type)}`).join(', ');
  const passed = field.args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
  const variables = Object.fromEntries(
    field.args.map((argument) => [argument.name, example(argument.name, argument.type, known, DEPTH)]),
  );
  const operation = name.charAt(0).toUpperCase() + name.slice(1);
  return {
    query: [
      `# ${say('draftComment')}`,
      `mutation ${operation}${declared && `(${declared})`} {`,
      `  ${name}${passed && `(${passed})`}${selection(field.type, 2, '  ')}`,
      '}',
      '',
    ].join('\n'),
    variables: JSON.stringify(variables, null, 2),
  };
}

interface Known {
  resource: string;
  items: string[];
  relations: string[];
  purpose: string;
}

/** A value of `type` to start from: what is known by its name, else an empty value of the right shape. */
function example(name: string, type: GraphQLInputType, known: Known, depth: number): unknown {
  const bare = getNullableType(type);
  if (isListType(bare)) {
    if (isLeaf(bare.ofType) && /items|relations/i.test(name)) {
      return /items/i.test(name) ? known.items : known.relations;
    }
    return isNonNullType(type) ? [example(name, bare.ofType, known, depth)] : [];
  }
  if (isInputObjectType(bare)) {
    const fields = Object.values(bare.getFields()).filter(
      (field) => isNonNullType(field.type) || /resource|item|purpose|duty|basis|scenario|valid|until/i.test(field.name),
    );
    return depth > 0
      ? Object.fromEntries(fields.map((field) => [field.name, example(field.name, field.type, known, depth - 1)]))
      : {};
  }
  if (isEnumType(bare)) {
    return bare.getValues()[0]?.name ?? null;
  }
  if (/resource/i.test(name)) {
    return known.resource;
  }
  if (/purpose/i.test(name)) {
    return known.purpose;
  }
  const empty: Record<string, unknown> = { Int: 0, Float: 0, Boolean: false };
  return isNonNullType(type) ? (empty[getNamedType(bare).name] ?? '') : null;
}

function isLeaf(type: GraphQLInputType): boolean {
  const named = getNamedType(type);
  return isScalarType(named) || isEnumType(named);
}

/** The scalar fields of an object type, `depth` levels deep; empty for a leaf. */
function selection(type: GraphQLOutputType, depth: number, indent: string): string {
  const named = getNamedType(type);
  if (!isObjectType(named)) {
    return isScalarType(named) || isEnumType(named) ? '' : ' { __typename }';
  }
  const lines: string[] = [];
  for (const field of Object.values(named.getFields())) {
    const inner = getNamedType(field.type);
    if (field.args.some((argument) => isNonNullType(argument.type)) || isListType(getNullableType(field.type))) {
      continue;
    }
    if (isScalarType(inner) || isEnumType(inner)) {
      lines.push(`${indent}  ${field.name}`);
    } else if (depth > 1) {
      const deeper = selection(field.type, depth - 1, `${indent}  `);
      if (deeper !== ' { __typename }') {
        lines.push(`${indent}  ${field.name}${deeper}`);
      }
    }
  }
  return lines.length > 0 ? ` {\n${lines.join('\n')}\n${indent}}` : ' { __typename }';
}
