/** In charge of leaving out what GraphiQL loads a whole JavaScript parser for: the format of the variables' JSON. */

import type { Plugin } from 'vite';

const BODY = /async function formatJSONC\(content\) \{[\s\S]*?\n\}\n/;
const FORMAT = `async function formatJSONC(content) {
  return applyEdits(content, format(content, undefined, { insertSpaces: true, tabSize: 2 }));
}
`;

export function slim(): Plugin {
  return {
    name: 'tanglai:slim',
    apply: 'build',
    transform(code, id) {
      if (!id.split('?')[0]?.endsWith('/@graphiql/react/dist/utility/jsonc.js')) {
        return null;
      }
      if (!BODY.test(code) || !code.includes('from "jsonc-parser"')) {
        this.error('GraphiQL formats JSON in another way than it did');
      }
      return { code: `import { applyEdits, format } from "jsonc-parser";\n${code.replace(BODY, FORMAT)}`, map: null };
    },
  };
}
