/** In charge of putting the page together: GraphiQL, our bar above it, our notes under the response. */

import { DOC_EXPLORER_PLUGIN, DocExplorerStore } from '@graphiql/plugin-doc-explorer';
import { HISTORY_PLUGIN, HistoryStore } from '@graphiql/plugin-history';
import { GraphiQLProvider } from '@graphiql/react';
import type { Fetcher } from '@graphiql/toolkit';
import { GraphiQL, GraphiQLInterface } from 'graphiql';
import { Kind, type OperationDefinitionNode, OperationTypeNode, parse } from 'graphql';

import { LoadOnDemand, OpenAtData, PartialNote } from './docs';
import { EDITOR_THEME, EditorOptions, EditorTheme } from './editors';
import { Header } from './header';
import { type Identity, identity } from './identity';
import { exampleText, exampleVariables } from './owners';
import { ResponseNotes } from './response-notes';
import { defaultFieldNames, introspect } from './schema-loader';
import { ShareMarks } from './share';
import { isFirstVisit, storage } from './storage';
import { useStore } from './store';
import { type Operation, ask, subscribe } from './transport';

const INTROSPECTION = 'WorkbenchSchema';
const PLUGINS = [DOC_EXPLORER_PLUGIN, HISTORY_PLUGIN];

const FIRST_QUERY = `query Catalogue {
  me {
    department {
      name
    }
  }
  catalogue {
    resources(first: 10) {
      nodes {
        code
        name
        shareClass
      }
    }
  }
}
`;

const fetcher: Fetcher = async (parameters, options) => {
  const asked = parameters as Operation;
  const headers = options?.headers ?? {};
  if (asked.operationName === INTROSPECTION) {
    await idle();
    return introspect(asked.query, headers);
  }
  const { operation, isSubscription } = chosen(asked);
  return (isSubscription ? subscribe(operation, headers) : await ask(operation, headers)) as never;
};

/** GraphiQL learns of an edit 0.1 s late: a name that the text does not have gives way to that of its only operation. */
function chosen(asked: Operation): { operation: Operation; isSubscription: boolean } {
  let operations: OperationDefinitionNode[];
  try {
    operations = parse(asked.query).definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  } catch {
    return { operation: asked, isSubscription: false };
  }
  const named = operations.find((one) => one.name?.value === asked.operationName);
  const only = operations.length === 1 ? operations[0] : undefined;
  return {
    operation: named ? asked : { ...asked, operationName: only?.name?.value },
    isSubscription: (named ?? only)?.operation === OperationTypeNode.SUBSCRIPTION,
  };
}

/** Resolves once the page is painted and has nothing better to do. */
function idle(): Promise<void> {
  return new Promise((resolve) => {
    if ('requestIdleCallback' in window) {
      window.requestIdleCallback(() => resolve(), { timeout: 1_000 });
    } else {
      setTimeout(resolve, 50);
    }
  });
}

interface Start {
  tabs: { query: string; variables: string | null }[];
  variables: string | undefined;
}

/** The tabs of a first visit: the demo's examples, or one query on the catalogue. */
export function startTabs(first: Identity): Start {
  const examples = first.mode === 'demo' ? first.session.examples : [];
  const tabs =
    examples.length > 0
      ? examples.map((example) => ({ query: exampleText(example), variables: exampleVariables(example) || null }))
      : [{ query: FIRST_QUERY, variables: null }];
  // GraphiQL fills the variables editor from here, not from the first tab
  return { tabs, variables: isFirstVisit() ? (tabs[0]?.variables ?? undefined) : undefined };
}

export function App({ start }: { start: Start }) {
  const current = useStore(identity);
  const anonymous = current.mode === 'token' && current.token === null;
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      schema={anonymous ? null : undefined}
      introspectionQueryName={INTROSPECTION}
      plugins={PLUGINS}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      visiblePlugin={DOC_EXPLORER_PLUGIN}
      defaultTabs={start.tabs}
      {...(start.variables === undefined ? {} : { initialVariables: start.variables })}
      defaultQuery=""
      getDefaultFieldNames={defaultFieldNames}
      shouldPersistHeaders={false}
      storage={storage}
      editorTheme={EDITOR_THEME}
    >
      <HistoryStore maxHistoryLength={50}>
        <DocExplorerStore>
          <EditorTheme />
          <OpenAtData />
          <LoadOnDemand />
          <Header />
          <main className={anonymous ? 'desk anonymous' : 'desk'}>
            <GraphiQLInterface showPersistHeadersSettings={false}>
              <GraphiQL.Logo>
                <PartialNote />
              </GraphiQL.Logo>
              <GraphiQL.Footer>
                <ResponseNotes />
              </GraphiQL.Footer>
            </GraphiQLInterface>
          </main>
          <EditorOptions />
          <ShareMarks />
        </DocExplorerStore>
      </HistoryStore>
    </GraphiQLProvider>
  );
}
