/** In charge of GraphiQL's own words: each English literal becomes a look-up in `src/graphiql-words.ts` at build time. */

import type { Plugin } from 'vite';

/** Literals (as they stand in the package's files) and their replacement; `#text#` stands for a look-up of the text. */
type Rules = Record<string, (string | [from: string, to: string])[]>;

const RULES: Rules = {
  'graphiql/dist/GraphiQL.js': [
    'New tab',
    'Editor Commands',
    'Operation Editor',
    'Select active operation',
    ['`${editorToolsHiddenElement === "second" ? "Show" : "Hide"} editor tools`', 'editorToolsHiddenElement === "second" ? #Show editor tools# : #Hide editor tools#'],
    ['children: "Variables"', 'children: #Variables#'],
    ['children: "Headers"', 'children: #Headers#'],
    ['? "Variables" : "Headers"', '? #Variables# : #Headers#'],
    ['title: tab.title', 'title: tabTitle(tab)'],
    ['children: tab.title', 'children: tabTitle(tab)'],
  ],
  'graphiql/dist/ui/sidebar.js': [
    ['`Re-fetch GraphQL schema (${KEY_MAP.refetchSchema.key})`', '#Re-fetch GraphQL schema# + ` (${KEY_MAP.refetchSchema.key})`'],
    ['`${isVisible_0 ? "Hide" : "Show"} ${plugin_0.title}`', '(isVisible_0 ? #Hide# : #Show#) + " " + graphiqlWord(plugin_0.title)'],
    'Open short keys dialog',
    'Open settings dialog',
    'Short Keys',
    'This modal provides a list of available keyboard shortcuts and their functions.',
    'Settings',
    'This modal lets you adjust header persistence, interface theme, and clear local storage.',
    'Theme',
    'Adjust how the interface appears.',
    'System',
    'Light',
    'Dark',
    'Clear storage',
    'Remove all locally stored data and start fresh.',
    ['success: "Cleared data"', 'success: #Cleared data#'],
    ['error: "Failed"', 'error: #Failed#'],
    'Clear data',
  ],
  'graphiql/dist/ui/toolbar.js': [
    ['`Prettify query (${KEY_MAP.prettify.key})`', '#Prettify query# + ` (${KEY_MAP.prettify.key})`'],
    ['`Merge fragments into query (${KEY_MAP.mergeFragments.key})`', '#Merge fragments into query# + ` (${KEY_MAP.mergeFragments.key})`'],
    ['`Copy query (${KEY_MAP.copyQuery.key})`', '#Copy query# + ` (${KEY_MAP.copyQuery.key})`'],
  ],
  'graphiql/dist/ui/short-keys.js': [
    ...[
      'Execute query',
      'Open the Command Palette (you must have focus in the editor)',
      'Prettify editors',
      'Copy query',
      'Re-fetch schema using introspection',
      'Search in documentation',
      'Search in editor',
      'Merge fragments definitions into operation definition',
    ].map((key): [string, string] => [`"${key}":`, `[#${key}#]:`]),
    'Short Key',
    'Function',
  ],
  '@graphiql/react/dist/components/execute-button/index.js': [
    ['`${isRunning ? "Stop" : "Execute"} query (${formatShortcutForOS(KEY_MAP.runQuery.key, "Cmd")})`', '(isRunning ? #Stop query# : #Execute query#) + ` (${formatShortcutForOS(KEY_MAP.runQuery.key, "Cmd")})`'],
  ],
  '@graphiql/react/dist/components/tabs/index.js': ['Close Tab'],
  '@graphiql/react/dist/components/response-editor.js': [['t6 = "Result Window"', 't6 = #Result Window#']],
  '@graphiql/react/dist/components/dialog/index.js': ['Close dialog'],
  '@graphiql/react/dist/constants.js': [
    // what the labels call Ctrl is the Windows key outside macOS
    ['KeyMod.WinCtrl', '(isMacOs ? KeyMod.WinCtrl : KeyMod.CtrlCmd)'],
    'Prettify Editors', 
    'Merge Fragments into Query',
    'Run Operation',
    'Copy Query',
  ],
  '@graphiql/plugin-history/dist/components.js': [
    'History',
    'Type a label',
    'Save',
    'Set active',
    'Edit label',
    'Remove favorite',
    'Add favorite',
    'Delete from history',
    'Clear',
    'Cleared',
    'Failed to Clear',
  ],
  '@graphiql/plugin-doc-explorer/dist/context.js': [
    ['name: "Docs"', 'name: #Docs#'],
    // the shortcut finds the button by its label
    ["'.graphiql-sidebar button[aria-label=\"Show Documentation Explorer\"]'", '`.graphiql-sidebar button[aria-label="${#Show#} ${#Documentation Explorer#}"]`'],
  ],
  '@graphiql/plugin-doc-explorer/dist/components/doc-explorer.js': [
    'Error fetching schema',
    'No GraphQL schema available',
    ['`Go back to ${prevName}`', '#Go back to# + ` ${prevName}`'],
    ['"aria-label": "Documentation Explorer"', '"aria-label": #Documentation Explorer#'],
  ],
  '@graphiql/plugin-doc-explorer/dist/components/section.js': [['      t1,\n      title\n', '      t1,\n      graphiqlWord(title)\n']],
  '@graphiql/plugin-doc-explorer/dist/components/field-documentation.js': ['Show Deprecated Arguments'],
  '@graphiql/plugin-doc-explorer/dist/components/type-documentation.js': ['Show Deprecated Fields', 'Show Deprecated Values'],
  '@graphiql/plugin-doc-explorer/dist/components/deprecation-reason.js': ['Deprecated'],
  '@graphiql/plugin-doc-explorer/dist/components/argument.js': ['Deprecated'],
  '@graphiql/plugin-doc-explorer/dist/components/schema-documentation.js': [
    'A GraphQL schema provides a root type for each kind of operation.',
  ],
  '@graphiql/plugin-doc-explorer/dist/components/search.js': [
    ['`Search ${navItem.name}...`', '#Search# + ` ${navItem.name}`'],
    'No results found',
    'Other results',
  ],
};

/** Paragraph of links to another site at the end of the list of shortcuts: dead in a closed network. */
const LINKS = /,\n\s*\/\* @__PURE__ \*\/ jsxs\("p", \{ children: \[\n\s*"This Graph",[\s\S]*?"\."\n\s*\] \}\)/;

function lookUps(template: string): string {
  return template.replace(/#([^#]+)#/g, (_, text: string) => `graphiqlWord(${JSON.stringify(text)})`);
}

/** Fails the build when a literal is gone, so that an upgrade of GraphiQL cannot lose a translation unseen. */
export function translateGraphiQL(words: string): Plugin {
  const unseen = new Set(Object.keys(RULES));
  return {
    name: 'tanglai:translate-graphiql',
    apply: 'build',
    transform(code, id) {
      const file = Object.keys(RULES).find((name) => id.split('?')[0]?.endsWith(`/node_modules/${name}`));
      if (file === undefined) {
        return null;
      }
      unseen.delete(file);
      let translated = code;
      for (const rule of RULES[file] ?? []) {
        const [from, to] = typeof rule === 'string' ? [JSON.stringify(rule), `#${rule}#`] : rule;
        if (!translated.includes(from)) {
          this.error(`\`${from}\` is not in ${file} any more`);
        }
        translated = translated.replaceAll(from, lookUps(to));
      }
      if (file.endsWith('short-keys.js')) {
        if (!LINKS.test(translated)) {
          this.error(`the links to another site are not where they were in ${file}`);
        }
        translated = translated.replace(LINKS, '');
      }
      return { code: `import { graphiqlWord, tabTitle } from ${JSON.stringify(words)};\n${translated}`, map: null };
    },
    buildEnd(error) {
      if (!error && unseen.size > 0) {
        this.error(`not part of the build any more: ${[...unseen].join(', ')}`);
      }
    },
  };
}
