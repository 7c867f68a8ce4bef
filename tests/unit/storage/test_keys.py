"""In charge of the key store: secrets made once, sealed under a key that the database never sees."""

import asyncio
import base64
from collections.abc import Callable

import pytest

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import KeyStoreError, MasterKey
from tests.conftest import MASTER

OTHER = MasterKey(b"x" * 32)


async def test_a_key_is_made_on_first_use_and_stays(url: str, platform: PlatformDatabase) -> None:
    (first,) = await platform.keys("cursor")
    assert len(first.secret) == 32
    async with await PlatformDatabase.open(url, master_key=MasterKey(bytes(range(32)))) as other:
        assert await other.keys("cursor") == [first]
    assert (await platform.keys("mask"))[0].secret != first.secret


async def test_replicas_that_ask_at_once_get_the_same_key(url: str, platform: PlatformDatabase) -> None:
    async with await PlatformDatabase.open(url, master_key=MASTER) as other:
        answers = await asyncio.gather(*((platform, other)[n % 2].keys("cursor") for n in range(20)))
    assert len({key.secret for keys in answers for key in keys}) == 1


async def test_rotation_adds_a_generation_and_keeps_the_old(platform: PlatformDatabase) -> None:
    (old,) = await platform.keys("cursor")
    new, kept = await platform.rotate_key("cursor")
    assert kept == old
    assert (new.id, new.secret) != (old.id, old.secret)
    assert new.created > old.created
    assert await platform.keys("cursor") == [new, old]


async def test_the_database_holds_no_secret(platform: PlatformDatabase) -> None:
    (key,) = await platform.keys("cursor")
    row = await platform.pool.fetchrow("SELECT * FROM key_store")
    assert key.secret not in bytes(row["sealed"])
    assert key.secret.hex() not in repr(dict(row))
    assert repr(key.secret) not in repr(key)


async def test_another_master_key_opens_nothing(url: str, platform: PlatformDatabase) -> None:
    await platform.keys("cursor")
    async with await PlatformDatabase.open(url, master_key=OTHER) as other:
        with pytest.raises(KeyStoreError, match="key `cursor` is sealed under another master key"):
            await other.keys("cursor")
    async with await PlatformDatabase.open(url) as none:
        with pytest.raises(KeyStoreError, match="no master key is given"):
            await none.keys("cursor")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE key_store SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) WHERE name = 'cursor'",
        "UPDATE key_store SET sealed = '' WHERE name = 'cursor'",
        "UPDATE key_store SET sealed = (SELECT sealed FROM key_store WHERE name = 'mask') WHERE name = 'cursor'",
        "UPDATE key_store SET generation = 2 WHERE name = 'cursor'",
    ],
)
async def test_a_changed_row_is_noticed(platform: PlatformDatabase, statement: str) -> None:
    await platform.keys("cursor")
    await platform.keys("mask")
    await platform.pool.execute(statement)
    with pytest.raises(KeyStoreError, match="was changed in the database"):
        await platform.keys("cursor")


async def test_a_new_master_key_takes_over(url: str, platform: PlatformDatabase) -> None:
    await platform.keys("cursor")
    before = await platform.rotate_key("cursor")
    async with await PlatformDatabase.open(url, master_key=OTHER) as other:
        with pytest.raises(KeyStoreError, match="was not given"):
            await other.reseal_keys([])
        assert await other.reseal_keys([MASTER]) == 2
        assert await other.reseal_keys([MASTER]) == 0
        assert await other.keys("cursor") == before
    with pytest.raises(KeyStoreError, match="another master key"):
        await platform.keys("cursor")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("strip", ["", "="])
def test_a_master_key_is_read_from_base64(encode: Callable[[bytes], bytes], strip: str) -> None:
    key = bytes([251, 239, *range(30)])
    text = encode(key).decode()
    assert MasterKey.from_text(f" {text.rstrip(strip) if strip else text}\n").fingerprint == MasterKey(key).fingerprint


@pytest.mark.parametrize("text", ["", "short", "ö" * 43, base64.b64encode(b"x" * 31).decode(), "A" * 45, "*" * 44])
def test_a_master_key_that_is_none_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="a master key") as caught:
        MasterKey.from_text(text)
    assert not text or text not in str(caught.value)
