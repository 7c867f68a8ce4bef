/** In charge of the panel under the response: every denial in words, with its article and how to apply. */

import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { type ReactNode, useMemo, useState } from 'react';

import { type Remedy, type Trouble, readNotes } from './denials';
import { type Draft, draftApplication } from './draft';
import { identity } from './identity';
import { ownNextTab } from './owners';
import { saveTable, tableOf } from './table';
import { say } from './words';

export function ResponseNotes() {
  const { tabs, activeTabIndex, isFetching } = useGraphiQL(pick('tabs', 'activeTabIndex', 'isFetching'));
  const tab = tabs[activeTabIndex];
  const response = tab?.response ?? '';
  const { notes, result } = useMemo(() => readNotes(response), [response]);
  const csv = useMemo(() => tableOf(result), [result]);
  const [collapsed, setCollapsed] = useState(false);
  if (!response) {
    return isFetching ? null : <p className="hint">{say('hint')}</p>;
  }
  const { troubles, grants, masked, partial } = notes;
  const denied = troubles.filter(({ denial }) => denial);
  const fields = denied.reduce((sum, trouble) => sum + Math.max(trouble.fields.length, 1), 0);
  return (
    <div className="notes" aria-live="polite">
      {troubles.length > 0 && (
        <section className={denied.length > 0 ? 'denials' : 'denials failures'} aria-label={say('denialsTitle', { n: fields })}>
          <h2>
            <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
              {denied.length > 0 ? <path d="M4 7V5a4 4 0 0 1 8 0v2h1v7H3V7zm1.5 0h5V5a2.5 2.5 0 0 0-5 0z" /> : <path d="M8 1 1 14h14zM7.2 6h1.6v4H7.2zm0 5h1.6v1.6H7.2z" />}
            </svg>
            {denied.length > 0 ? say('denialsTitle', { n: fields }) : say('errorsTitle')}
            <button type="button" className="plain" aria-expanded={!collapsed} onClick={() => setCollapsed(!collapsed)}>
              {say(collapsed ? 'expand' : 'collapse')}
            </button>
          </h2>
          {!collapsed && (
            <ul>
              {troubles.map((trouble, index) => (
                <TroubleCard key={index} trouble={trouble} />
              ))}
            </ul>
          )}
        </section>
      )}
      {(grants.length > 0 || masked.length > 0 || partial.length > 0 || csv !== null) && (
        <dl className="facts">
          <Fact name={say('notesGrants')} values={grants} />
          <Fact name={say('notesMasked')} values={masked} />
          <Fact name={say('notesPartial')} values={partial} />
          {csv !== null && (
            <button
              type="button"
              className="plain"
              title={say('tableTitle')}
              onClick={() => saveTable(csv, tab?.operationName ?? 'tanglai')}
            >
              {say('table')}
            </button>
          )}
        </dl>
      )}
    </div>
  );
}

function Fact({ name, values }: { name: string; values: string[] }) {
  return values.length === 0 ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{values.join(', ')}</dd>
    </div>
  );
}

function TroubleCard({ trouble }: { trouble: Trouble }) {
  const { code, reason, article, resource, fields, items, remedy, requestId } = trouble;
  const { prefix, last } = shorten(fields.length > 0 ? fields : items);
  return (
    <li>
      <p className="reason">
        {code && <code className={trouble.denial ? 'code denial' : 'code'}>{code}</code>}
        {reason}
      </p>
      <dl>
        {last.length > 0 && (
          <div>
            <dt>{say(items.length > 0 ? 'items' : 'fields')}</dt>
            <dd className="mono">
              {prefix && <span className="prefix">{prefix}.</span>}
              {last.join(', ')}
            </dd>
          </div>
        )}
        {resource && (
          <div>
            <dt>{say('resource')}</dt>
            <dd className="mono">{resource}</dd>
          </div>
        )}
        {article && (
          <div>
            <dt>{say('article')}</dt>
            <dd>{article}</dd>
          </div>
        )}
        {remedy && <RemedyLine remedy={remedy} />}
        {!trouble.denial && requestId && (
          <div>
            <dt>{say('requestId')}</dt>
            <dd className="mono">{requestId}</dd>
          </div>
        )}
      </dl>
    </li>
  );
}

/** Field paths without the part that they share. */
function shorten(paths: string[]): { prefix: string; last: string[] } {
  const parents = new Set(paths.map((path) => path.split('.').slice(0, -1).join('.')));
  const [prefix = ''] = parents;
  return parents.size === 1 ? { prefix, last: paths.map((path) => path.split('.').at(-1) ?? path) } : { prefix: '', last: paths };
}

function RemedyLine({ remedy }: { remedy: Remedy }) {
  const { schema } = useGraphiQL(pick('schema'));
  const current = identity.get();
  const purpose = current.mode === 'demo' ? current.who.purpose : current.purpose || (current.claims?.purposes[0] ?? '');
  const draft = schema ? draftApplication(schema, remedy, purpose) : null;
  return (
    <div className="remedy">
      <dt>{say('remedy')}</dt>
      <dd>{withCode(remedy.words)}</dd>
      {draft && <DraftButton draft={draft} mutation={remedy.mutation ?? ''} />}
    </div>
  );
}

/** Text with its parts in backticks set as code. */
function withCode(text: string): ReactNode[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

function DraftButton({ draft, mutation }: { draft: Draft; mutation: string }) {
  const { queryEditor, variableEditor } = useGraphiQL(pick('queryEditor', 'variableEditor'));
  const { addTab } = useGraphiQLActions();
  const open = () => {
    const current = identity.get();
    if (current.mode === 'demo') {
      ownNextTab(current.who);
    }
    addTab();
    queryEditor?.setValue(draft.query);
    variableEditor?.setValue(draft.variables);
    // the variables of a draft want filling in: show their editor
    document.querySelector<HTMLElement>('.graphiql-editor-tools [data-name="variables"]')?.click();
  };
  return (
    <button type="button" className="draft" title={say('draftTitle', { mutation })} onClick={open}>
      {say('draft')}
    </button>
  );
}
