"""In charge of counts that outgrow an Int: the scalar `Long` of the data, for the fixed part."""

from typing import NewType

Long = NewType("Long", int)
"""An integer of 64 bits; `schema.fixed.query` binds it to the scalar that generated items use."""
