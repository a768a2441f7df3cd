"""How deep the elements of HTML are nested, told before a parser builds them.

Parsers build a tree, and what walks trees may need stack for each level: 1 000 000 open elements have ended many a
process. A look at the tags alone costs a pass over the text.
"""

import re

#: Elements that hold nothing, that cannot stand in each other, or that the next of their kind ends.
_NO_LEVEL = (
    "area|a|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr|p|li|dt|dd|tr|td|th|thead|tbody|tfoot|option"
    "|optgroup|colgroup|rt|rp"
)
_TAG = re.compile(rf"<(/?)(?!/?(?:{_NO_LEVEL})[\s/>])[a-zA-Z]", re.IGNORECASE)


def nesting(html: str, most: int) -> int:
    """A depth that no element is beneath; beyond `most`, one that there is.

    A tag too many or too few is nothing unusual: what closes without having opened leaves the depth as it is.
    """
    if (signs := html.count("<")) <= most:
        return signs
    depth = deepest = 0
    for close in _TAG.findall(html):
        if close:
            depth -= depth > 0
        else:
            depth += 1
            if depth > deepest:
                deepest = depth
                if depth > most:
                    return depth
    return deepest
