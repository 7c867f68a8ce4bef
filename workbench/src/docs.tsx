/** In charge of the documentation pane and of loading what it, or the query, comes to. */

import { useDocExplorer, useDocExplorerActions } from '@graphiql/plugin-doc-explorer';
import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { getNamedType, isNamedType } from 'graphql';
import { useEffect, useRef } from 'react';

import { identity } from './identity';
import { partlyLoaded, typesAt, typesOf, want } from './schema-loader';
import { useStore } from './store';
import { say } from './words';

/** Opens the documentation at the type of `data`: its groups lead to resources, items and their share classes. */
export function OpenAtData(): null {
  const schema = useGraphiQL((state) => state.schema);
  const stack = useDocExplorer();
  const { push } = useDocExplorerActions();
  const done = useRef(false);
  useEffect(() => {
    const query = schema?.getQueryType();
    if (done.current || !query) {
      return;
    }
    done.current = true;
    const data = query.getFields()['data'];
    if (data && stack.length === 1) {
      const type = getNamedType(data.type);
      push({ name: query.name, def: query });
      push({ name: type.name, def: type });
    }
  }, [schema]);
  return null;
}

/** Introspects again when the query or the documentation pane names a type that is not loaded, or when a new token may help. */
export function LoadOnDemand(): null {
  const { schema, documentAST, queryEditor } = useGraphiQL(pick('schema', 'documentAST', 'queryEditor'));
  const { introspect } = useGraphiQLActions();
  const isPartial = useStore(partlyLoaded) !== null;
  const stack = useDocExplorer();
  const shown = stack.at(-1)?.def;
  useEffect(() => {
    if (!schema || !isPartial) {
      return;
    }
    const types = documentAST ? typesOf(documentAST, schema) : new Set<never>();
    if (want(isNamedType(shown) ? [...types, shown] : types)) {
      void introspect();
    }
  }, [schema, isPartial, documentAST, shown, introspect]);

  useEffect(() => {
    if (!schema || !isPartial || !queryEditor) {
      return;
    }
    // a half-typed query has no document: what is around the cursor tells the types whose fields are offered next
    const look = () => {
      const position = queryEditor.getPosition();
      if (position && want(typesAt(queryEditor.getValue(), position.lineNumber, position.column, schema))) {
        void introspect();
      }
    };
    let timer: number | undefined;
    const listener = queryEditor.onDidChangeCursorPosition(() => {
      window.clearTimeout(timer);
      timer = window.setTimeout(look, 200);
    });
    look();
    return () => {
      window.clearTimeout(timer);
      listener.dispose();
    };
  }, [schema, isPartial, queryEditor, introspect]);

  const current = useStore(identity);
  const token = current.mode === 'token' ? current.token : null;
  const before = useRef(token);
  useEffect(() => {
    if (before.current !== null && token !== null && before.current !== token && !schema) {
      void introspect();
    }
    before.current = token;
  }, [token]);
  return null;
}

/** Says that the schema is partly loaded, where a whole one is too large. */
export function PartialNote() {
  const count = useStore(partlyLoaded);
  return count === null ? null : <p className="partial" title={say('partialTitle')}>{say('partialSchema', { n: count })}</p>;
}
