/** In charge of the two languages of the page: which one is on, and every sentence of ours in both. */

export type Language = 'zh' | 'en';

const LANGUAGE_KEY = 'tanglai:language';

function chosenLanguage(): Language {
  try {
    const stored = localStorage.getItem(LANGUAGE_KEY);
    if (stored === 'zh' || stored === 'en') {
      return stored;
    }
  } catch {
    // a browser without storage takes its own language
  }
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** Fixed for the life of the page: GraphiQL and Monaco take their words when their modules load. */
export const language: Language = chosenLanguage();

/** Value of `Accept-Language`, by which the server words reasons and remedies. */
export const acceptLanguage = language === 'zh' ? 'zh-CN,zh;q=0.9,en;q=0.5' : 'en,zh;q=0.5';

export function switchLanguage(to: Language): void {
  localStorage.setItem(LANGUAGE_KEY, to);
  location.reload();
}

const WORDS = {
  title: { zh: '唐徕工作台', en: 'Tanglai workbench' },
  subtitle: { zh: '政务数据共享', en: 'government data sharing' },
  otherLanguage: { zh: 'English', en: '中文' },
  skip: { zh: '跳到查询编辑器', en: 'Skip to the query editor' },
  leaveEditor: { zh: '离开编辑器', en: 'Leave the editor' },
  identity: { zh: '查询身份', en: 'Who is asking' },
  department: { zh: '部门', en: 'Department' },
  purpose: { zh: '用途', en: 'Purpose' },
  purposeOfToken: { zh: '令牌默认用途', en: 'default of the token' },
  demo: { zh: '演示 · 合成数据', en: 'Demo · synthetic data' },
  examples: { zh: '示例查询', en: 'Examples' },
  examplesTitle: { zh: '在标签页中打开示例查询', en: 'Open an example query in a tab' },
  actingAs: { zh: '现在以「{department}」的身份、为「{purpose}」查询', en: 'Now asking as {department} for {purpose}' },
  tokenLabel: { zh: '访问令牌', en: 'Access token' },
  tokenPlaceholder: { zh: '粘贴本部门的访问令牌', en: "Paste your department's access token" },
  tokenUse: { zh: '使用', en: 'Use' },
  tokenChange: { zh: '更换令牌', en: 'Change token' },
  tokenForget: { zh: '移除', en: 'Remove' },
  tokenNote: {
    zh: '令牌只保存在此浏览器标签页中，关闭即清除。',
    en: 'The token stays in this browser tab only and is gone when you close it.',
  },
  tokenExpired: { zh: '令牌已过期，请粘贴新的令牌。', en: 'The token has expired: paste a new one.' },
  tokenRefused: { zh: '服务器不接受该令牌，请检查或更换。', en: 'The server refuses this token: check or change it.' },
  tokenUntil: { zh: '有效至 {time}', en: 'valid until {time}' },
  tokenFailed: { zh: '取不到演示令牌：{reason}', en: 'no demo token: {reason}' },
  sessionFailed: {
    zh: '无法读取工作台配置（{reason}），请粘贴令牌。',
    en: 'The session could not be read ({reason}): paste a token.',
  },
  client: { zh: '客户端 {client}', en: 'client {client}' },
  unknownDepartment: { zh: '部门未知', en: 'unknown department' },
  untitled: { zh: '未命名', en: 'untitled' },
  hint: { zh: '按 ▶ 或 Ctrl+Enter 运行查询', en: 'Press ▶ or Ctrl+Enter to run the query' },
  denialsTitle: { zh: '有 {n} 处未返回数据', en: 'Fields denied: {n}' },
  errorsTitle: { zh: '查询有误', en: 'The query failed' },
  collapse: { zh: '收起', en: 'Collapse' },
  expand: { zh: '展开', en: 'Expand' },
  article: { zh: '依据', en: 'Basis' },
  resource: { zh: '资源', en: 'Resource' },
  items: { zh: '信息项', en: 'Items' },
  fields: { zh: '字段', en: 'Fields' },
  remedy: { zh: '办理途径', en: 'What to do' },
  requestId: { zh: '请求号', en: 'Request' },
  draft: { zh: '起草', en: 'Draft' },
  draftTitle: {
    zh: '在新标签页中打开预填的 {mutation}，补充后运行即提交',
    en: 'Opens a prefilled {mutation} in a new tab; complete it, then run it',
  },
  draftComment: {
    zh: '草稿：请在「变量」中补充履职依据等内容，运行即提交。',
    en: 'Draft: complete duty, legal basis and so on under Variables; running it submits it.',
  },
  notesGrants: { zh: '所用授权', en: 'Grants used' },
  notesMasked: { zh: '已脱敏', en: 'Masked' },
  notesPartial: { zh: '仅部分行可见', en: 'Visible on some rows only' },
  table: { zh: '下载表格', en: 'Download table' },
  tableTitle: { zh: '把结果中的列表存为 CSV 文件', en: 'Save the list in the result as a CSV file' },
  shareUNCONDITIONAL: { zh: '无条件共享', en: 'open' },
  shareCONDITIONAL: { zh: '有条件共享', en: 'on application' },
  shareNOT_SHARED: { zh: '不予共享', en: 'not shared' },
  noSchema: { zh: '粘贴令牌后，这里显示数据目录与信息项说明。', en: 'Paste a token to see the catalogue and its items here.' },
  partialSchema: {
    zh: '目录较大，按需载入（已载入 {n} 个类型）',
    en: 'Large catalogue, loaded as needed ({n} types so far)',
  },
  partialTitle: {
    zh: '只载入查询和文档用到的类型，文档的查找也限于这些类型；查找资源请用 catalogue 查询。',
    en: 'Only types that the query uses or that you open are loaded, and the search in the documentation knows these alone; find resources with a catalogue query.',
  },
  httpError: { zh: '服务器答复 HTTP {status}，不是 GraphQL 结果', en: 'the server answered HTTP {status} without a GraphQL result' },
  unreachable: { zh: '连不上服务器', en: 'the server cannot be reached' },
} satisfies Record<string, Record<Language, string>>;

export type Word = keyof typeof WORDS;

/** The sentence `word` in the language of the page, `{name}` replaced by `values.name`. */
export function say(word: Word, values: Record<string, string | number> = {}): string {
  return WORDS[word][language].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** `zh` or `en`, whichever the page shows; falls back to the other when one is missing. */
export function either(zh: string | undefined | null, en: string | undefined | null): string {
  return (language === 'zh' ? zh || en : en || zh) ?? '';
}
