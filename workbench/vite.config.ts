import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

import { monacoWords } from './build/monaco-words.ts';
import { slim } from './build/slim.ts';
import { translateGraphiQL } from './build/translate.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // relative addresses: the page also works under a path of a proxy
  base: './',
  plugins: [slim(), translateGraphiQL(here('src/graphiql-words.ts')), monacoWords(here('node_modules/monaco-editor'))],
  build: {
    outDir: process.env['WORKBENCH_OUT'] ?? here('../tanglai/server/workbench'),
    emptyOutDir: true,
    // no data: address anywhere, so that the policy needs none for fonts
    assetsInlineLimit: 0,
    target: ['chrome94', 'edge94', 'firefox115', 'safari16.4'],
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 4096,
    // "use client" of React's server components means nothing here
    rolldownOptions: {
      checks: { moduleLevelDirective: false },
      output: {
        // what we change often stands apart from what we do not, so that a change renames few files
        codeSplitting: {
          groups: [
            { name: 'words', test: /\/src\/(graphiql-)?words\.ts$/, priority: 2 },
            { name: 'packages', test: /\/node_modules\/(?!monaco-|prettier)|preload-helper/, priority: 1 },
          ],
        },
      },
    },
  },
  worker: { format: 'es' },
});
