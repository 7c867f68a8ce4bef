/** In charge of Monaco's words: its package has the Chinese by number and the numbered English, the page needs text to text. */

import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';

import type { Plugin } from 'vite';

const MODULE = 'virtual:monaco-words';
/** Longer ones describe settings, which the page does not show. */
const LONGEST = 110;

export function monacoWords(monaco: string): Plugin {
  return {
    name: 'tanglai:monaco-words',
    resolveId: (id) => (id === MODULE ? `\0${MODULE}` : null),
    load(id) {
      if (id !== `\0${MODULE}`) {
        return null;
      }
      const english = readFileSync(`${monaco}/dev/vs/editor/editor.main.js`, 'utf8');
      const context: { _VSCODE_NLS_MESSAGES?: unknown[]; define?: unknown } = { define: (_: unknown, body: () => void) => body() };
      runInNewContext(readFileSync(`${monaco}/dev/vs/nls.messages.zh-cn.js`, 'utf8'), context);
      const messages = context._VSCODE_NLS_MESSAGES ?? [];
      const calls = [...english.matchAll(/localize2?\)?\((\d+), ("(?:[^"\\\n]|\\.)*")/g)];
      const texts = runInNewContext(`[${calls.map(([, , literal]) => literal).join(',')}]`) as string[];
      const words: Record<string, string> = {};
      calls.forEach(([, number], index) => {
        const text = texts[index] ?? '';
        const word = messages[Number(number)];
        if (typeof word === 'string' && text.length <= LONGEST && word !== text) {
          words[text] = word;
        }
      });
      if (Object.keys(words).length < 500) {
        this.error(`only ${Object.keys(words).length} of Monaco's messages have a translation: its files have changed`);
      }
      return `export default ${JSON.stringify(words)};`;
    },
    transform(code, id) {
      if (!id.split('?')[0]?.endsWith('/monaco-editor/esm/vs/nls.js')) {
        return null;
      }
      const start = 'function _format(message, args) {';
      if (!code.includes(start)) {
        this.error("Monaco's message look-up has changed");
      }
      return { code: code.replace(start, `${start}\n    message = globalThis.monacoWords?.[message] ?? message;`), map: null };
    },
  };
}
