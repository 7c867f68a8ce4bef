/** In charge of the error codes in words, for answers that bring no reason of their own. */

import { language, type Language } from './words';

const CODES: Record<string, Record<Language, string>> = {
  UNAUTHENTICATED: { zh: '没有有效的访问令牌', en: 'no valid access token' },
  NOT_A_DEPARTMENT: { zh: '令牌所属单位不是已登记的部门', en: 'the token belongs to no registered department' },
  OUT_OF_ZONE: { zh: '该资源属于另一网络区域的平台', en: 'the resource belongs to the platform of the other zone' },
  SCOPE_EXCEEDED: { zh: '超出该令牌的范围', en: 'outside the scope of this token' },
  QUOTA_EXCEEDED: {
    zh: '授权当日剩余的配额不足以满足本次查询',
    en: "what is left of the grant's quota for today does not cover this query",
  },
  GRANT_SUSPENDED: { zh: '授权已中止', en: 'the grant is suspended' },
  GRANT_NOT_YET_VALID: { zh: '授权尚未生效', en: 'the grant is not valid yet' },
  GRANT_EXPIRED: { zh: '授权已到期', en: 'the grant has expired' },
  GRANT_ENDED: { zh: '授权已终止', en: 'the grant has ended' },
  PURPOSE_REQUIRED: { zh: '使用有条件共享数据须说明用途', en: 'conditional data need a purpose' },
  PURPOSE_MISMATCH: { zh: '用途与授权或令牌不符', en: 'the purpose is not that of the grant or token' },
  STATISTICS_ONLY: { zh: '授权仅限统计使用', en: 'the grant is for statistics only' },
  NOT_SHARED: { zh: '不予共享类数据', en: 'the item is not shared' },
  GRANT_REQUIRED: { zh: '有条件共享类数据，须先申请', en: 'conditional item: an application is needed first' },
  MASKED_USE: { zh: '脱敏的信息项只能查看，不能用于筛选、排序、分组或统计', en: 'a masked item can be shown but not filtered, sorted, grouped or aggregated' },
  CAPABILITY_MISSING: { zh: '数据源不支持该操作', en: 'the source cannot do this' },
  BAD_CURSOR: { zh: '分页游标无效或不属于此查询', en: 'the cursor is invalid or of another query' },
  BAD_INPUT: { zh: '输入有误', en: 'bad input' },
  LIMIT_EXCEEDED: { zh: '超出查询规模限制', en: 'the query is over a limit' },
  SOURCE_UNAVAILABLE: { zh: '数据源暂不可用', en: 'the source is unavailable' },
  SOURCE_TIMEOUT: { zh: '数据源超时', en: 'the source took too long' },
  POLICY_UNAVAILABLE: { zh: '暂时无法确认授权状态', en: 'the state of the grants cannot be confirmed' },
  AUDIT_UNAVAILABLE: { zh: '审计记录暂不可写', en: 'the audit record cannot be written' },
  INTERNAL: { zh: '平台内部错误', en: 'internal error' },
};

/** Codes by which the law, a grant or the purpose refuses data; the other codes are failures. */
export const DENIALS = new Set([
  'OUT_OF_ZONE',
  'SCOPE_EXCEEDED',
  'QUOTA_EXCEEDED',
  'GRANT_SUSPENDED',
  'GRANT_NOT_YET_VALID',
  'GRANT_EXPIRED',
  'GRANT_ENDED',
  'PURPOSE_REQUIRED',
  'PURPOSE_MISMATCH',
  'STATISTICS_ONLY',
  'NOT_SHARED',
  'GRANT_REQUIRED',
  'MASKED_USE',
]);

export function codeInWords(code: string): string | null {
  return CODES[code]?.[language] ?? null;
}
