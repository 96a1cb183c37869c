"""Google's own Tink, as the other side of the interoperability tests: a streaming primitive for a raw key."""

from __future__ import annotations

import io
from typing import Any

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from storage.sealed.stream import KEY, SEGMENT

streaming_aead.register()


def primitive(key: bytes) -> Any:
    """Tink's AES256-GCM-HKDF-1MB under a key of our own."""
    raw = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        version=0,
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=SEGMENT, derived_key_size=KEY, hkdf_hash_type=common_pb2.SHA256
        ),
        key_value=key,
    )
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=raw.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class _Kept(io.BytesIO):
    """Keeps what was written when Tink closes it."""

    content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()


def seal(key: bytes, associated: bytes, plain: bytes) -> bytes:
    target = _Kept()
    with primitive(key).new_encrypting_stream(target, associated) as stream:
        view = memoryview(plain)
        while view:
            view = view[stream.write(view) :]
    return target.content


def opened(key: bytes, associated: bytes, sealed: bytes) -> bytes:
    with primitive(key).new_decrypting_stream(io.BytesIO(sealed), associated) as stream:
        return bytes(stream.read())
