"""In charge of the descriptions of generated types and fields: Markdown, Chinese titles, the law where it matters.

The workbench shows them, so that a reader sees in place what is open, what needs an application, and how to apply.
"""

from dataclasses import dataclass

from tanglai.catalogue.model import BasisType, Item, LegalBasis, Relation, Resource, ShareClass, Snapshot, UpdateCycle
from tanglai.catalogue.rules import RuleSet

SHARE_CLASS_TITLES = {
    ShareClass.UNCONDITIONAL: "无条件共享",
    ShareClass.CONDITIONAL: "有条件共享",
    ShareClass.NOT_SHARED: "不予共享",
}
_PLACE = {share_class: place for place, share_class in enumerate(ShareClass)}
UPDATE_CYCLE_TITLES = {
    UpdateCycle.REAL_TIME: "实时",
    UpdateCycle.DAILY: "每日",
    UpdateCycle.WEEKLY: "每周",
    UpdateCycle.MONTHLY: "每月",
    UpdateCycle.QUARTERLY: "每季度",
    UpdateCycle.YEARLY: "每年",
    UpdateCycle.IRREGULAR: "不定期",
}
BASIS_TITLES = {
    BasisType.LAW: "法律",
    BasisType.ADMINISTRATIVE_REGULATION: "行政法规",
    BasisType.CENTRAL_POLICY: "党中央、国务院政策",
}


def article(rules: RuleSet, share_class: ShareClass) -> str:
    """The article under which items of `share_class` are used."""
    return rules.articles[f"ALLOWED_{share_class.value}"]


def capitalized(text: str) -> str:
    """`text` with a capital first letter, where it begins with a letter that has one."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class ResourceWords:
    """What the descriptions of one resource have in common: the head and the tail per share class, ready-made.

    Two resources with equal words and equal content have equal generated types.
    """

    provider: str
    heads: tuple[str, ...]
    ways: tuple[str, ...]

    def head(self, share_class: ShareClass) -> str:
        return self.heads[_PLACE[share_class]]

    def way(self, share_class: ShareClass) -> str:
        return self.ways[_PLACE[share_class]]


def resource_words(resource: Resource, snapshot: Snapshot, rules: RuleSet) -> ResourceWords:
    """The words of `resource` under `rules`. A provider that is not in the snapshot is named by its code."""
    department = snapshot.departments.get(resource.provider)
    provider = department.name if department else resource.provider
    heads = tuple(f"{SHARE_CLASS_TITLES[c]} `{c.value}` ({article(rules, c)})" for c in ShareClass)
    return ResourceWords(provider, heads, tuple(_way(rules, c, provider) for c in ShareClass))


def _way(rules: RuleSet, share_class: ShareClass, provider: str) -> str:
    """How a requester comes to the data, in a few words."""
    cited = article(rules, share_class)
    if share_class is ShareClass.UNCONDITIONAL and rules.unconditional_is_direct:
        return f"- Use 获取方式: directly, without an application 无需申请，直接获取 ({cited})"
    if share_class is ShareClass.NOT_SHARED:
        return f"- Use 获取方式: only by consultation with the provider 与{provider}协商 ({cited})"
    days = rules.reply_within[share_class]
    unit = "working day" if days == 1 else "working days"
    return (
        f"- Use 获取方式: apply to the provider, reply due in {days} {unit} "
        f"向{provider}申请，{days}个工作日内答复 ({cited})"
    )


def _basis(basis: LegalBasis) -> str:
    return f"- Legal basis 依据: {BASIS_TITLES[basis.type]}《{basis.title}》{basis.article}"


def describe_resource(resource: Resource, words: ResourceWords) -> str:
    """Description of the object type of `resource`."""
    lines = [f"**{resource.title}** · {words.head(resource.share_class)}"]
    if resource.summary:
        lines += ["", resource.summary]
    cycle = resource.update_cycle
    lines += [
        "",
        f"- Resource 资源代码: `{resource.code}`, version {resource.version}",
        f"- Provider 提供部门: {words.provider}",
        f"- Update cycle 更新周期: {UPDATE_CYCLE_TITLES[cycle]} `{cycle.value}`",
    ]
    if resource.condition:
        lines.append(f"- Condition 共享条件: {resource.condition}")
    if resource.legal_basis:
        lines.append(_basis(resource.legal_basis))
    lines.append(words.way(resource.share_class))
    return "\n".join(lines)


def describe_item(item: Item, resource: Resource, words: ResourceWords) -> str:
    """Description of the field of `item` on the object type."""
    share_class = item.share_class
    text = f"**{item.title}** · {words.head(share_class)}\n\n"
    if item.description:
        text += f"{item.description}\n\n"
    text += f"- Provider 提供部门: {words.provider}\n"
    if share_class is not ShareClass.UNCONDITIONAL:
        condition = item.condition or resource.condition
        if condition:
            text += f"- Condition 共享条件: {condition}\n"
        basis = item.legal_basis or resource.legal_basis
        if basis:
            text += f"{_basis(basis)}\n"
    if item.masks:
        text += f"- Masks 脱敏方式: {', '.join(f'`{named.name}`' for named in item.masks)}\n"
    return text + words.way(share_class)


def describe_relation(relation: Relation, target: Resource, share_class: ShareClass, words: ResourceWords) -> str:
    """Description of the field of `relation`; `share_class` is the class that holds for it at both ends."""
    return (
        f"**{relation.title}** · {words.head(share_class)}\n\n"
        f"- Leads to 关联资源: {target.title} `{target.code}`\n"
        f"{words.way(share_class)}"
    )
