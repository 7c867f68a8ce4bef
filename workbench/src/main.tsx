/** In charge of the start: language, workers, who is asking, then the page. */

import './sheets';
import './workers';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './workbench.css';

import { createRoot } from 'react-dom/client';

import { App, startTabs } from './app';
import { loadIdentity } from './identity';
import { badgeShareClasses } from './share';
import { language, say } from './words';

async function start(): Promise<void> {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.title = `${say('title')} · ${language === 'zh' ? 'Tanglai' : '唐徕'}`;
  badgeShareClasses();
  const words = language === 'zh' ? import('virtual:monaco-words').then((module) => module.default) : null;
  const [first] = await Promise.all([loadIdentity(), words]);
  globalThis.monacoWords = await words;
  const root = document.getElementById('workbench');
  if (root) {
    createRoot(root).render(<App start={startTabs(first)} />);
  }
}

void start();
