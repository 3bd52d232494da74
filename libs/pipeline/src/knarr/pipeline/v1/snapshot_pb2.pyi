from knarr.pipeline.v1 import failure_pb2 as _failure_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FileMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_MODE_UNSPECIFIED: _ClassVar[FileMode]
    FILE_MODE_REGULAR: _ClassVar[FileMode]
    FILE_MODE_EXECUTABLE: _ClassVar[FileMode]
    FILE_MODE_SYMLINK: _ClassVar[FileMode]
    FILE_MODE_SUBMODULE: _ClassVar[FileMode]
FILE_MODE_UNSPECIFIED: FileMode
FILE_MODE_REGULAR: FileMode
FILE_MODE_EXECUTABLE: FileMode
FILE_MODE_SYMLINK: FileMode
FILE_MODE_SUBMODULE: FileMode

class Commit(_message.Message):
    __slots__ = ("source", "number", "sha", "ref", "author", "subject", "committed_at_ms", "observed_at_ms", "url", "signed_by")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SHA_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    source: str
    number: int
    sha: str
    ref: str
    author: str
    subject: str
    committed_at_ms: int
    observed_at_ms: int
    url: str
    signed_by: str
    def __init__(self, source: _Optional[str] = ..., number: _Optional[int] = ..., sha: _Optional[str] = ..., ref: _Optional[str] = ..., author: _Optional[str] = ..., subject: _Optional[str] = ..., committed_at_ms: _Optional[int] = ..., observed_at_ms: _Optional[int] = ..., url: _Optional[str] = ..., signed_by: _Optional[str] = ...) -> None: ...

class CommitObserved(_message.Message):
    __slots__ = ("commit",)
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    commit: Commit
    def __init__(self, commit: _Optional[_Union[Commit, _Mapping]] = ...) -> None: ...

class SealedAddress(_message.Message):
    __slots__ = ("address", "digest", "plain_size", "sealed_size", "chunk_count", "key_id")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLAIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEALED_SIZE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    digest: bytes
    plain_size: int
    sealed_size: int
    chunk_count: int
    key_id: str
    def __init__(self, address: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., plain_size: _Optional[int] = ..., sealed_size: _Optional[int] = ..., chunk_count: _Optional[int] = ..., key_id: _Optional[str] = ...) -> None: ...

class SnapshotStored(_message.Message):
    __slots__ = ("commit", "manifests", "tree_id", "file_count", "published_bytes", "published_files", "lock")
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    MANIFESTS_FIELD_NUMBER: _ClassVar[int]
    TREE_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FILES_FIELD_NUMBER: _ClassVar[int]
    LOCK_FIELD_NUMBER: _ClassVar[int]
    commit: Commit
    manifests: _containers.RepeatedCompositeFieldContainer[SealedAddress]
    tree_id: str
    file_count: int
    published_bytes: int
    published_files: int
    lock: bytes
    def __init__(self, commit: _Optional[_Union[Commit, _Mapping]] = ..., manifests: _Optional[_Iterable[_Union[SealedAddress, _Mapping]]] = ..., tree_id: _Optional[str] = ..., file_count: _Optional[int] = ..., published_bytes: _Optional[int] = ..., published_files: _Optional[int] = ..., lock: _Optional[bytes] = ...) -> None: ...

class SourceReported(_message.Message):
    __slots__ = ("source", "reachable", "failure", "since_ms", "commit")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    source: str
    reachable: bool
    failure: _failure_pb2.Failure
    since_ms: int
    commit: Commit
    def __init__(self, source: _Optional[str] = ..., reachable: _Optional[bool] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., since_ms: _Optional[int] = ..., commit: _Optional[_Union[Commit, _Mapping]] = ...) -> None: ...

class FileEntry(_message.Message):
    __slots__ = ("path", "mode", "content_id", "size", "pack")
    PATH_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PACK_FIELD_NUMBER: _ClassVar[int]
    path: bytes
    mode: FileMode
    content_id: bytes
    size: int
    pack: int
    def __init__(self, path: _Optional[bytes] = ..., mode: _Optional[_Union[FileMode, str]] = ..., content_id: _Optional[bytes] = ..., size: _Optional[int] = ..., pack: _Optional[int] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("complete", "entries", "removed", "packs")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    PACKS_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    entries: _containers.RepeatedCompositeFieldContainer[FileEntry]
    removed: _containers.RepeatedScalarFieldContainer[bytes]
    packs: _containers.RepeatedCompositeFieldContainer[SealedAddress]
    def __init__(self, complete: _Optional[bool] = ..., entries: _Optional[_Iterable[_Union[FileEntry, _Mapping]]] = ..., removed: _Optional[_Iterable[bytes]] = ..., packs: _Optional[_Iterable[_Union[SealedAddress, _Mapping]]] = ...) -> None: ...

class PackedContent(_message.Message):
    __slots__ = ("content_id", "content")
    CONTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content_id: bytes
    content: bytes
    def __init__(self, content_id: _Optional[bytes] = ..., content: _Optional[bytes] = ...) -> None: ...

class Pack(_message.Message):
    __slots__ = ("contents",)
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    contents: _containers.RepeatedCompositeFieldContainer[PackedContent]
    def __init__(self, contents: _Optional[_Iterable[_Union[PackedContent, _Mapping]]] = ...) -> None: ...
