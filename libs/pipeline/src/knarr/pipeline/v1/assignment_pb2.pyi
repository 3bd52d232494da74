from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BodyEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BODY_ENCODING_UNSPECIFIED: _ClassVar[BodyEncoding]
    BODY_ENCODING_SEALED_BOX: _ClassVar[BodyEncoding]
BODY_ENCODING_UNSPECIFIED: BodyEncoding
BODY_ENCODING_SEALED_BOX: BodyEncoding

class SignedAssignment(_message.Message):
    __slots__ = ("header", "body", "key_id", "signature")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    body: bytes
    key_id: str
    signature: bytes
    def __init__(self, header: _Optional[bytes] = ..., body: _Optional[bytes] = ..., key_id: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class AssignmentHeader(_message.Message):
    __slots__ = ("epoch", "cluster", "cluster_uid", "generation", "body_encoding")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    BODY_ENCODING_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    cluster: str
    cluster_uid: str
    generation: int
    body_encoding: BodyEncoding
    def __init__(self, epoch: _Optional[str] = ..., cluster: _Optional[str] = ..., cluster_uid: _Optional[str] = ..., generation: _Optional[int] = ..., body_encoding: _Optional[_Union[BodyEncoding, str]] = ...) -> None: ...

class AssignedApp(_message.Message):
    __slots__ = ("app", "digest", "address", "key", "plain_size", "object_count", "chunk_count", "sealed_size", "defer_prune")
    APP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PLAIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEALED_SIZE_FIELD_NUMBER: _ClassVar[int]
    DEFER_PRUNE_FIELD_NUMBER: _ClassVar[int]
    app: str
    digest: bytes
    address: bytes
    key: bytes
    plain_size: int
    object_count: int
    chunk_count: int
    sealed_size: int
    defer_prune: bool
    def __init__(self, app: _Optional[str] = ..., digest: _Optional[bytes] = ..., address: _Optional[bytes] = ..., key: _Optional[bytes] = ..., plain_size: _Optional[int] = ..., object_count: _Optional[int] = ..., chunk_count: _Optional[int] = ..., sealed_size: _Optional[int] = ..., defer_prune: _Optional[bool] = ...) -> None: ...

class Tombstone(_message.Message):
    __slots__ = ("app", "since_generation", "keep_objects")
    APP_FIELD_NUMBER: _ClassVar[int]
    SINCE_GENERATION_FIELD_NUMBER: _ClassVar[int]
    KEEP_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    app: str
    since_generation: int
    keep_objects: bool
    def __init__(self, app: _Optional[str] = ..., since_generation: _Optional[int] = ..., keep_objects: _Optional[bool] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("app", "digest", "revision", "removal", "protected", "since_generation")
    APP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REMOVAL_FIELD_NUMBER: _ClassVar[int]
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    SINCE_GENERATION_FIELD_NUMBER: _ClassVar[int]
    app: str
    digest: bytes
    revision: str
    removal: bool
    protected: bool
    since_generation: int
    def __init__(self, app: _Optional[str] = ..., digest: _Optional[bytes] = ..., revision: _Optional[str] = ..., removal: _Optional[bool] = ..., protected: _Optional[bool] = ..., since_generation: _Optional[int] = ...) -> None: ...

class DryRun(_message.Message):
    __slots__ = ("request_id", "app", "asked_at_ms")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    app: AssignedApp
    asked_at_ms: int
    def __init__(self, request_id: _Optional[str] = ..., app: _Optional[_Union[AssignedApp, _Mapping]] = ..., asked_at_ms: _Optional[int] = ...) -> None: ...

class AssignmentBody(_message.Message):
    __slots__ = ("apps", "tombstones", "approvals", "fetch_spread_seconds", "traceparent", "dry_runs", "requires")
    APPS_FIELD_NUMBER: _ClassVar[int]
    TOMBSTONES_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    FETCH_SPREAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUNS_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_FIELD_NUMBER: _ClassVar[int]
    apps: _containers.RepeatedCompositeFieldContainer[AssignedApp]
    tombstones: _containers.RepeatedCompositeFieldContainer[Tombstone]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    fetch_spread_seconds: float
    traceparent: str
    dry_runs: _containers.RepeatedCompositeFieldContainer[DryRun]
    requires: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, apps: _Optional[_Iterable[_Union[AssignedApp, _Mapping]]] = ..., tombstones: _Optional[_Iterable[_Union[Tombstone, _Mapping]]] = ..., approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ..., fetch_spread_seconds: _Optional[float] = ..., traceparent: _Optional[str] = ..., dry_runs: _Optional[_Iterable[_Union[DryRun, _Mapping]]] = ..., requires: _Optional[_Iterable[str]] = ...) -> None: ...
