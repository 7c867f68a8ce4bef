/**
 * In charge of how much of the schema is fetched: all of it while the catalogue is small, type by type when it is large.
 *
 * A catalogue of 5,000 resources is a 35 MB introspection. So one small request asks for the names of the types first. Up to
 * `WHOLE_UP_TO` types the standard introspection follows. Beyond, only the root types are fetched, and then the types that
 * the query in the editor or the documentation pane comes to: every other type is a stub that has its name and kind alone.
 */

import {
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  type GraphQLType,
  type IntrospectionQuery,
  type IntrospectionSchema,
  type IntrospectionType,
  TypeInfo,
  getNamedType,
  isInputObjectType,
  isLeafType,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { Position, getContextAtPosition } from 'graphql-language-service';

import { Store } from './store';
import { type Result, ask } from './transport';

const WHOLE_UP_TO = 2_000;
const TYPES_PER_REQUEST = 10;

/** The only field of a type that is not loaded yet; no type of the platform has one of this name. */
const STUB_FIELD = '_notLoaded';

const TYPE_REF = `fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`;
const INPUT = `fragment I on __InputValue { name description type { ...R } defaultValue }`;
const FULL_TYPE = `fragment T on __Type {
  kind name description
  fields(includeDeprecated: true) { name description args { ...I } type { ...R } isDeprecated deprecationReason }
  inputFields { ...I }
  interfaces { ...R }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...R }
}`;
const FRAGMENTS = `${FULL_TYPE} ${INPUT} ${TYPE_REF}`;

interface Reference {
  kind: string;
  name: string | null;
  ofType?: Reference | null;
}

/** Number of types loaded so far when the schema is partial; null while it is whole or not loaded. */
export const partlyLoaded = new Store<number | null>(null);

const loaded = new Map<string, IntrospectionType>();
let roots: Omit<IntrospectionSchema, 'types'> | null = null;

/**
 * Answers GraphiQL's introspection `query` with a whole or partial schema.
 *
 * A call after `want` adds the wanted types to a partial schema; any other (GraphiQL's refetch) starts anew.
 */
export function introspect(query: string, headers: Record<string, unknown>): Promise<Result> {
  // one after the other: each answer holds all that was loaded before it
  const next = last.then(() => load(query, headers));
  last = next.catch(() => undefined);
  return next;
}

let last: Promise<unknown> = Promise.resolve();

async function load(query: string, headers: Record<string, unknown>): Promise<Result> {
  const wanted = takeWanted();
  if (roots !== null && demands > 0) {
    demands -= 1;
    await loadTypes(wanted, headers);
    return partial(roots);
  }
  demands = 0;
  roots = null;
  loaded.clear();
  asked.clear();
  const outline = await askData<{ __schema: { types: { name: string }[] } }>(
    'query WorkbenchOutline { __schema { types { name } } }',
    headers,
  );
  if (outline.__schema.types.length <= WHOLE_UP_TO) {
    partlyLoaded.set(null);
    return { data: await askData(query, headers) };
  }
  const root = await askData<{ __schema: Omit<IntrospectionSchema, 'types'> }>(
    `query WorkbenchRoots { __schema { queryType { kind name } mutationType { kind name } subscriptionType { kind name }
      directives { name description isRepeatable locations args { ...I } } } } ${INPUT} ${TYPE_REF}`,
    headers,
  );
  roots = root.__schema;
  const names = [roots.queryType.name, roots.mutationType?.name, roots.subscriptionType?.name];
  await loadTypes([...names.filter((name) => name !== undefined), ...wanted], headers);
  return partial(roots);
}

const wantedTypes = new Set<string>();
const asked = new Set<string>();
/** Calls of `introspect` that are to come for `want`, and not to start anew. */
let demands = 0;

function takeWanted(): string[] {
  const names = [...wantedTypes];
  wantedTypes.clear();
  return names;
}

/** Notes types that are needed; true when one is missing that was not asked for yet, and the schema is to be introspected again. */
export function want(types: Iterable<GraphQLNamedType>): boolean {
  if (roots === null) {
    return false;
  }
  const before = wantedTypes.size;
  for (const type of types) {
    if (!loaded.has(type.name) && !asked.has(type.name) && !type.name.startsWith('__')) {
      asked.add(type.name);
      wantedTypes.add(type.name);
    }
  }
  if (wantedTypes.size === before) {
    return false;
  }
  demands += 1;
  return true;
}

/** The named types that `document` selects from or passes arguments of. */
export function typesOf(document: DocumentNode, schema: GraphQLSchema): Set<GraphQLNamedType> {
  const found = new Set<GraphQLNamedType>();
  const info = new TypeInfo(schema);
  const add = (type: unknown) => {
    const named = getNamedType(type as GraphQLNamedType | undefined);
    if (named) {
      found.add(named);
    }
  };
  visit(
    document,
    visitWithTypeInfo(info, {
      enter(node) {
        if (node.kind === 'Field') {
          add(info.getType());
          for (const argument of info.getFieldDef()?.args ?? []) {
            add(argument.type);
          }
        } else if (node.kind === 'ObjectField' || node.kind === 'Argument') {
          add(info.getInputType());
        } else if (node.kind === 'VariableDefinition') {
          add(info.getInputType());
        } else if (node.kind === 'InlineFragment' || node.kind === 'FragmentDefinition') {
          add(info.getType());
        }
      },
    }),
  );
  for (const type of found) {
    if (isInputObjectType(type)) {
      // scalars and enumerations of an operator object are needed as soon as it is typed
      for (const field of Object.values(type.getFields())) {
        const inner = getNamedType(field.type);
        if (!isInputObjectType(inner)) {
          found.add(inner);
        }
      }
    }
  }
  return found;
}

/** The named types around a place in a query that may be half typed; line and column count from 1. */
export function typesAt(query: string, line: number, column: number, schema: GraphQLSchema): GraphQLNamedType[] {
  const info = getContextAtPosition(query, new Position(line - 1, column - 1), schema)?.typeInfo;
  const argumentTypes = info?.fieldDef && 'args' in info.fieldDef ? info.fieldDef.args.map(({ type }) => type) : [];
  return [info?.parentType, info?.type, info?.inputType, ...argumentTypes].flatMap((type) => getNamedType(type) ?? []);
}

/** The fields that GraphiQL adds to a selection left out: a stub has none to add. */
export function defaultFieldNames(type: GraphQLType): string[] {
  const named = getNamedType(type);
  const fields = 'getFields' in named ? named.getFields() : {};
  if (STUB_FIELD in fields) {
    return [];
  }
  const one = ['id', 'nodes', 'edges', 'node'].find((name) => name in fields);
  return one ? [one] : Object.keys(fields).filter((name) => isLeafType(getNamedType(fields[name]?.type)));
}

async function askData<T>(query: string, headers: Record<string, unknown>): Promise<T> {
  const result = await ask({ query }, headers);
  const problem = result.errors?.[0];
  if (problem || !result.data) {
    const code = problem?.extensions?.['code'];
    throw new Error([code, problem?.message].filter(Boolean).join(': ') || 'no data');
  }
  return result.data as T;
}

async function loadTypes(names: readonly string[], headers: Record<string, unknown>): Promise<void> {
  for (let start = 0; start < names.length; start += TYPES_PER_REQUEST) {
    const some = names.slice(start, start + TYPES_PER_REQUEST);
    const fields = some.map((name, index) => `t${index}: __type(name: ${JSON.stringify(name)}) { ...T }`);
    const data = await askData<Record<string, IntrospectionType | null>>(
      `query WorkbenchTypes { ${fields.join(' ')} } ${FRAGMENTS}`,
      headers,
    );
    for (const type of Object.values(data)) {
      if (type) {
        loaded.set(type.name, type);
      }
    }
  }
  partlyLoaded.set(loaded.size);
}

/** The loaded types and a stub for each type that they or the directives refer to. */
function partial(schema: Omit<IntrospectionSchema, 'types'>): { data: Record<string, unknown> } {
  const types = new Map<string, unknown>(loaded);
  const refer = (reference: Reference | null | undefined): void => {
    if (!reference) {
      return;
    }
    if (reference.name === null) {
      refer(reference.ofType);
    } else if (!types.has(reference.name)) {
      types.set(reference.name, stub(reference.kind, reference.name));
    }
  };
  refer({ kind: 'SCALAR', name: 'String' });
  refer({ kind: 'SCALAR', name: 'Boolean' });
  const search = (node: unknown): void => {
    if (Array.isArray(node)) {
      node.forEach(search);
    } else if (node !== null && typeof node === 'object') {
      for (const [key, value] of Object.entries(node)) {
        if (key === 'type') {
          refer(value as Reference);
        } else if (key === 'interfaces' || key === 'possibleTypes') {
          (value as Reference[] | null)?.forEach(refer);
        } else {
          search(value);
        }
      }
    }
  };
  search([...loaded.values()]);
  search(schema);
  const data: IntrospectionQuery = { __schema: { ...schema, types: [...types.values()] as IntrospectionType[] } };
  return { data: data as unknown as Record<string, unknown> };
}

function stub(kind: string, name: string): unknown {
  const text = { kind: 'SCALAR', name: 'String', ofType: null };
  const member = { name: STUB_FIELD, description: null, isDeprecated: false, deprecationReason: null };
  const whole = {
    kind,
    name,
    description: null,
    fields: null as unknown,
    inputFields: null as unknown,
    interfaces: null as unknown,
    enumValues: null as unknown,
    possibleTypes: null as unknown,
  };
  switch (kind) {
    case 'OBJECT':
    case 'INTERFACE':
      whole.fields = [{ ...member, args: [], type: text }];
      whole.interfaces = [];
      whole.possibleTypes = kind === 'INTERFACE' ? [] : null;
      break;
    case 'INPUT_OBJECT':
      whole.inputFields = [{ ...member, type: text, defaultValue: null }];
      break;
    case 'ENUM':
      whole.enumValues = [member];
      break;
    case 'UNION':
      whole.possibleTypes = [];
      break;
  }
  return whole;
}
