/** In charge of the bar above GraphiQL: who is asking, example queries, the language of the page. */

import { DropdownMenu, pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { type FormEvent, useEffect, useState } from 'react';

import icon from './icon.svg';
import {
  type DemoSession,
  type Example,
  type Identity,
  type Who,
  choosePurpose,
  identity,
  setDepartmentName,
  takeToken,
} from './identity';
import { enterTab, exampleText, exampleVariables, ownNextTab, ownTab } from './owners';
import { useStore } from './store';
import { ask } from './transport';
import { either, language, say, switchLanguage } from './words';

export function Header() {
  const current = useStore(identity);
  return (
    <header className="bar">
      <div className="bar-row">
        <a className="skip" href="#graphiql-session" onClick={focusEditor}>
          {say('skip')}
        </a>
        <h1 className="brand">
          <img src={icon} alt="" width="26" height="26" />
          {say('title')}
          <small>{say('subtitle')}</small>
        </h1>
        {current.mode === 'demo' ? <DemoIdentity identity={current} /> : <TokenIdentity identity={current} />}
        <div className="bar-end">
          {current.mode === 'demo' && <span className="tag">{say('demo')}</span>}
          {current.mode === 'demo' && current.session.examples.length > 0 && <Examples session={current.session} />}
          <button
            type="button"
            className="plain"
            lang={language === 'zh' ? 'en' : 'zh'}
            onClick={() => switchLanguage(language === 'zh' ? 'en' : 'zh')}
          >
            {say('otherLanguage')}
          </button>
        </div>
      </div>
      {current.problem !== null && (
        <p className="problem" role="alert">
          {current.problem}
        </p>
      )}
      {current.mode === 'token' && current.token === null && <TokenForm />}
    </header>
  );
}

function focusEditor(event: { preventDefault(): void }): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('.graphiql-query-editor .graphiql-editor')?.focus();
}

function DemoIdentity({ identity: { session, who } }: { identity: Extract<Identity, { mode: 'demo' }> }) {
  const { tabs, activeTabIndex } = useGraphiQL(pick('tabs', 'activeTabIndex'));
  const tab = tabs[activeTabIndex];
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (tab) {
      enterTab(
        tab.id,
        tab.query,
        tabs.map(({ id }) => id),
      );
    }
  }, [tab?.id]);

  const department = session.departments.find(({ key }) => key === who.department);
  const purpose = session.purposes.find(({ code }) => code === who.purpose);
  const departmentName = either(department?.name, department?.nameEn) || who.department;
  const purposeTitle = either(purpose?.title, purpose?.titleEn) || who.purpose;
  useEffect(() => {
    setSaid(say('actingAs', { department: departmentName, purpose: purposeTitle }));
  }, [departmentName, purposeTitle]);

  const choose = (part: Partial<Who>) => {
    if (tab) {
      ownTab(tab.id, { ...who, ...part });
    }
  };
  return (
    <div className="who" role="group" aria-label={say('identity')}>
      <label>
        <span>{say('department')}</span>
        <select name="department" value={who.department} onChange={(event) => choose({ department: event.target.value })}>
          {session.departments.map((one) => (
            <option key={one.key} value={one.key} title={one.code}>
              {either(one.name, one.nameEn)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{say('purpose')}</span>
        <select name="purpose" value={who.purpose} onChange={(event) => choose({ purpose: event.target.value })}>
          {session.purposes.map((one) => (
            <option key={one.code} value={one.code} title={one.code}>
              {either(one.title, one.titleEn)}
            </option>
          ))}
        </select>
      </label>
      <span className="unseen" aria-live="polite">
        {said}
      </span>
    </div>
  );
}

function TokenIdentity({ identity: current }: { identity: Extract<Identity, { mode: 'token' }> }) {
  const { token, claims, departmentName, purpose } = current;
  useEffect(() => {
    if (token !== null) {
      void ask({ query: 'query WorkbenchMe { me { department { name } } }', operationName: 'WorkbenchMe' }).then((result) => {
        const me = result.data?.['me'] as { department?: { name?: string } | null } | null | undefined;
        if (me?.department?.name) {
          setDepartmentName(token, me.department.name);
        }
      }, () => undefined);
    }
  }, [token]);
  if (token === null) {
    return null;
  }
  return (
    <div className="who" role="group" aria-label={say('identity')}>
      <span className="who-name" title={claims?.department ?? undefined}>
        {departmentName ?? claims?.department ?? say('unknownDepartment')}
        <small>
          {[
            claims?.client && say('client', { client: claims.client }),
            claims?.expires && say('tokenUntil', { time: claims.expires.toLocaleString(language === 'zh' ? 'zh-CN' : 'en') }),
          ]
            .filter(Boolean)
            .join(' · ')}
        </small>
      </span>
      {claims !== null && claims.purposes.length > 0 && (
        <label>
          <span>{say('purpose')}</span>
          <select name="purpose" value={purpose} onChange={(event) => choosePurpose(event.target.value)}>
            {claims.purposes.length === 1 ? (
              <option value="">{claims.purposes[0]}</option>
            ) : (
              ['', ...claims.purposes].map((code) => (
                <option key={code} value={code}>
                  {code || say('purposeOfToken')}
                </option>
              ))
            )}
          </select>
        </label>
      )}
      <button type="button" className="plain" onClick={() => takeToken(null)}>
        {say('tokenChange')}
      </button>
    </div>
  );
}

function TokenForm() {
  const [text, setText] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    takeToken(text);
  };
  return (
    <form className="token" onSubmit={submit}>
      <label htmlFor="token">{say('tokenLabel')}</label>
      <input
        id="token"
        name="token"
        type="password"
        autoComplete="off"
        spellCheck={false}
        required
        placeholder={say('tokenPlaceholder')}
        aria-describedby="token-note"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit">{say('tokenUse')}</button>
      <small id="token-note">{say('tokenNote')}</small>
    </form>
  );
}

function Examples({ session }: { session: DemoSession }) {
  const { tabs, activeTabIndex, queryEditor, variableEditor } = useGraphiQL(
    pick('tabs', 'activeTabIndex', 'queryEditor', 'variableEditor'),
  );
  const { addTab, changeTab } = useGraphiQLActions();
  useEffect(() => {
    document.querySelector('.graphiql-tab-active')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [activeTabIndex]);
  const open = (example: Example) => {
    const text = exampleText(example);
    const index = tabs.findIndex(({ query }) => query === text);
    if (index >= 0) {
      changeTab(index);
      return;
    }
    ownNextTab(example);
    addTab();
    queryEditor?.setValue(text);
    variableEditor?.setValue(exampleVariables(example));
  };
  return (
    <DropdownMenu>
      <DropdownMenu.Button className="plain" title={say('examplesTitle')}>
        {say('examples')} <span aria-hidden="true">▾</span>
      </DropdownMenu.Button>
      <DropdownMenu.Content className="examples" align="end">
        {session.examples.map((example, index) => {
          const department = session.departments.find(({ key }) => key === example.department);
          const purpose = session.purposes.find(({ code }) => code === example.purpose);
          return (
            <DropdownMenu.Item key={index} onSelect={() => open(example)}>
              {either(example.title, example.titleEn)}
              <small>
                {[either(department?.name, department?.nameEn), either(purpose?.title, purpose?.titleEn)]
                  .filter(Boolean)
                  .join(' · ')}
              </small>
            </DropdownMenu.Item>
          );
        })}
      </DropdownMenu.Content>
    </DropdownMenu>
  );
}
