/** In charge of GraphiQL's own words in Chinese; the build puts the look-ups into its components. */

import { language, say } from './words';

const CHINESE: Record<string, string> = {
  'New tab': '新标签页',
  'Editor Commands': '编辑器命令',
  'Operation Editor': '查询编辑器',
  'Select active operation': '选择标签页',
  'Show editor tools': '展开变量与请求头',
  'Hide editor tools': '收起变量与请求头',
  Variables: '变量',
  Headers: '请求头',
  'Re-fetch GraphQL schema': '重新载入目录',
  Show: '打开',
  Hide: '收起',
  'Documentation Explorer': '数据目录文档',
  History: '历史记录',
  'Open short keys dialog': '快捷键',
  'Open settings dialog': '设置',
  'Short Keys': '快捷键',
  'This modal provides a list of available keyboard shortcuts and their functions.': '快捷键及其功能的列表。',
  Settings: '设置',
  'This modal lets you adjust header persistence, interface theme, and clear local storage.': '设置界面外观，清除本机保存的数据。',
  Theme: '外观',
  'Adjust how the interface appears.': '界面的明暗。',
  System: '跟随系统',
  Light: '浅色',
  Dark: '深色',
  'Clear storage': '清除本机数据',
  'Remove all locally stored data and start fresh.': '删除保存在此浏览器中的标签页和历史记录。',
  'Cleared data': '已清除',
  Failed: '失败',
  'Clear data': '清除',
  'Prettify query': '整理格式',
  'Merge fragments into query': '将片段并入查询',
  'Copy query': '复制查询',
  'Execute query': '运行查询',
  'Stop query': '停止查询',
  'Open the Command Palette (you must have focus in the editor)': '命令面板（焦点须在编辑器中）',
  'Prettify editors': '整理格式',
  'Re-fetch schema using introspection': '重新载入目录',
  'Search in documentation': '在文档中查找',
  'Search in editor': '在编辑器中查找',
  'Merge fragments definitions into operation definition': '将片段并入查询',
  'Short Key': '按键',
  Function: '功能',
  'Close Tab': '关闭标签页',
  'Result Window': '查询结果',
  'Close dialog': '关闭对话框',
  'Prettify Editors': '整理格式',
  'Merge Fragments into Query': '将片段并入查询',
  'Run Operation': '运行查询',
  'Copy Query': '复制查询',
  'Type a label': '输入名称',
  Save: '保存',
  'Set active': '打开此查询',
  'Edit label': '改名',
  'Remove favorite': '取消收藏',
  'Add favorite': '收藏',
  'Delete from history': '从历史记录中删除',
  Clear: '清空',
  Cleared: '已清空',
  'Failed to Clear': '清空失败',
  Docs: '文档',
  'Error fetching schema': '数据目录载入失败',
  'Go back to': '返回',
  'Root Types': '入口',
  Fields: '字段',
  'Deprecated Fields': '已停用的字段',
  Type: '类型',
  Arguments: '参数',
  'Deprecated Arguments': '已停用的参数',
  Implements: '实现的接口',
  Implementations: '实现此接口的类型',
  'Possible Types': '可能的类型',
  'Enum Values': '取值',
  'Deprecated Enum Values': '已停用的取值',
  Directives: '指令',
  'All Schema Types': '全部类型',
  'Show Deprecated Arguments': '显示已停用的参数',
  'Show Deprecated Fields': '显示已停用的字段',
  'Show Deprecated Values': '显示已停用的取值',
  Deprecated: '已停用',
  'A GraphQL schema provides a root type for each kind of operation.': '从 query 的 data 进入各部门共享的数据，从 catalogue 进入数据目录。',
  Search: '查找',
  'No results found': '没有找到',
  'Other results': '其他结果',
};

/** The text in the language of the page; English stays where there is no Chinese. */
export function graphiqlWord(english: string): string {
  if (english === 'No GraphQL schema available') {
    return say('noSchema');
  }
  return language === 'zh' ? (CHINESE[english] ?? english) : english;
}

/** A tab goes by the comment in its first line, as our examples have one, else by its operation's name. */
export function tabTitle(tab: { query: string | null; title: string }): string {
  const comment = /^\s*#\s*(.*\S)/.exec(tab.query?.split('\n', 1)[0] ?? '');
  return comment?.[1] ?? (tab.title === '<untitled>' ? say('untitled') : tab.title);
}
