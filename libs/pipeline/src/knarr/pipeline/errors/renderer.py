"""KNR2xxx: errors of documents and the renderer."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

_KEPT = "The last good revision stays. "

ENTRIES: tuple[Entry, ...] = (
    # --- YAML and documents -------------------------------------------------------------------------------------
    Entry(
        "KNR2001",
        "Malformed YAML",
        "The file is not YAML, or holds what JSON cannot (.inf, .nan, a mapping as a key).",
        _KEPT + "Correct the file at the line and column given; `knarr vet` shows it before a push.",
    ),
    Entry(
        "KNR2002",
        "A file is too large",
        "One file exceeds the renderer's limit.",
        _KEPT + "Split the file, or keep large data out of Git.",
    ),
    Entry(
        "KNR2003",
        "YAML is nested too deep or expands too far",
        "Deep nesting, or aliases that multiply (a YAML bomb).",
        _KEPT + "Write the structure out flatter and with fewer aliases.",
    ),
    Entry(
        "KNR2004",
        "A file is not UTF-8",
        "It was saved in another encoding, or is no text.",
        _KEPT + "Save it as UTF-8, or move it out of the app's folder.",
    ),
    Entry(
        "KNR2005",
        "A key is given twice",
        "A document of knarr.dev holds one key two times; only one can be meant.",
        _KEPT + "Remove one of them.",
    ),
    Entry(
        "KNR2010",
        "Unknown key",
        "A document of knarr.dev has a key that its schema does not know; often a typing error.",
        _KEPT + "Use the nearest known key that the message names, or look into the reference of documents.",
    ),
    Entry(
        "KNR2011",
        "Wrong value",
        "A value of a document of knarr.dev has the wrong type or form.",
        _KEPT + "Correct it as the message says. `yes`, `no`, `on`, `off` are booleans in YAML: quote them.",
    ),
    Entry(
        "KNR2012",
        "A required key is missing",
        "A document of knarr.dev lacks a key that it needs.",
        _KEPT + "Add it.",
    ),
    Entry(
        "KNR2013",
        "Not a document of knarr.dev",
        "The file should hold a document of knarr.dev/v1 and does not, or holds one that belongs elsewhere.",
        _KEPT + "Set apiVersion and kind as the message says, or move the file.",
    ),
    Entry(
        "KNR2014",
        "Two documents of one name",
        "Two clusters or sources share a name, or one file holds two where one is allowed.",
        "The first one counts. Rename or remove the other.",
    ),
    Entry(
        "KNR2015",
        "The fleet has no fleet.yaml",
        "The fleet repository's root holds no readable Fleet document.",
        "Nothing is deleted. Add fleet.yaml with apiVersion knarr.dev/v1 and kind Fleet, or correct it.",
    ),
    Entry(
        "KNR2016",
        "An unknown name is referred to",
        "An app names a group that the fleet does not have.",
        _KEPT + "Correct the name, or add the group to fleet.yaml.",
    ),
    Entry(
        "KNR2017",
        "An app's name is not a DNS label",
        "App names become labels and subjects; the folder's name serves when knarr.yaml gives none.",
        "Set `name` in knarr.yaml or rename the folder: at most 63 of a-z, 0-9 and inner hyphens.",
    ),
    Entry(
        "KNR2018",
        "Two apps of one name",
        "Two folders claim the same app name.",
        "The holder stays as it is. Give the other one its own `name`.",
    ),
    Entry(
        "KNR2019",
        "A label selector is wrong",
        "In and NotIn need values, Exists and DoesNotExist take none.",
        _KEPT + "Correct the requirement.",
    ),
    Entry(
        "KNR2020",
        "A health rule is wrong",
        "The expression is no CEL, is too long, or asks for something else than `object`.",
        _KEPT + "Correct the expression in knarr.yaml; `object` is the live object.",
    ),
    Entry(
        "KNR2021",
        "Not built yet",
        "RolloutPolicy, an app's `rollout` and its `syncWindows` are documented ahead of what obeys them.",
        _KEPT + "Remove it. Every change goes to all clusters at once, behind the guard, until it is built.",
    ),
    Entry(
        "KNR2022",
        "The fleet names no cluster",
        "fleet.yaml does not say `clusters: Enrolled`, and there is no Cluster document: nobody is a member.",
        "Nothing is deleted; every cluster is detached. Write clusters/*.yaml, or say `clusters: Enrolled`.",
    ),
    # --- sources, apps and targets ------------------------------------------------------------------------------
    Entry(
        "KNR2101",
        "A source's folder does not exist",
        "fleet.yaml names a folder as `path` that the source does not hold at this commit.",
        "Nothing is deleted. Correct `path` or the source.",
    ),
    Entry(
        "KNR2102",
        "A cluster is matched by no target",
        "The app's targets leave this cluster out.",
        "If that is meant, nothing is to do. Otherwise add a target or correct the cluster's labels.",
    ),
    Entry(
        "KNR2103",
        "No target matches any cluster",
        "The app is rendered for nobody.",
        "Correct the selectors or the clusters' labels; `knarr vet` lists both.",
    ),
    Entry(
        "KNR2104",
        "A dependency does not exist or is circular",
        "dependsOn names an app that no source holds, or apps that wait for each other.",
        "Correct dependsOn; the app waits until then.",
    ),
    Entry(
        "KNR2105",
        "A source is empty",
        "Its newest commit holds no file at all.",
        "The source is detached: everything stays as it is in the clusters. Restore the files, or remove the apps.",
    ),
    Entry(
        "KNR2106",
        "An unknown cluster is named",
        "A target names a cluster that the fleet does not have.",
        _KEPT + "Correct the name, or add the Cluster document.",
    ),
    Entry(
        "KNR2107",
        "A kustomization lies below a plain folder",
        "The app's folder has no kustomization.yaml, but one below it has: base and overlays would all be applied.",
        _KEPT + "Name the folder to render as `path` or as a target's `overlay`.",
    ),
    Entry(
        "KNR2108",
        "No such app",
        "The fleet holds no app of this name at this commit.",
        "Use one of the names that the message lists.",
    ),
    Entry(
        "KNR2109",
        "The app does not go to this cluster",
        "None of its targets matches the cluster.",
        "Use one of the clusters that the message lists, or correct the targets.",
    ),
    # --- variables ----------------------------------------------------------------------------------------------
    Entry(
        "KNR2201",
        "A variable has no value",
        "The app refers to a variable that neither cluster, target nor app gives a value to.",
        _KEPT + "Set it in the Cluster document or the target, or give it a default in `variables`.",
    ),
    Entry(
        "KNR2202",
        "Not the form of a variable",
        "${...} holds something that is no variable's name.",
        _KEPT + "Write $${...} where the text is meant literally.",
    ),
    Entry(
        "KNR2203",
        "Variables are not declared",
        "The app refers to a variable of its clusters, but knarr.yaml has no `variables`, so nothing is substituted.",
        _KEPT + "Declare it: `variables: {name: null}`; or rename the text if it is meant literally.",
    ),
    # --- paths --------------------------------------------------------------------------------------------------
    Entry(
        "KNR2301",
        "A path leaves the source",
        "A path-like field climbs above the root of its repository.",
        _KEPT + "Refer to files of the same source only.",
    ),
    Entry(
        "KNR2302",
        "A path is absolute",
        "A path-like field is absolute, names a home folder or holds a backslash.",
        _KEPT + "Write it relative to the file that it is in.",
    ),
    Entry(
        "KNR2303",
        "A remote reference",
        "A base, chart or file is fetched from elsewhere; the renderer has no network, so that Git says all there is.",
        _KEPT + "Copy it into the repository, or add its repository as a source.",
    ),
    Entry(
        "KNR2304",
        "A symlink",
        "Symlinks among an app's files are not followed.",
        _KEPT + "Replace the link by the file, or by a kustomize base.",
    ),
    Entry(
        "KNR2305",
        "A referenced file or folder does not exist",
        "A base, overlay, patch or values file is missing at this commit.",
        _KEPT + "Correct the path or add the file.",
    ),
    Entry(
        "KNR2306",
        "A plugin that runs code",
        "exec, container and Go plugins, and Helm post-renderers, run arbitrary code.",
        _KEPT + "Use kustomize's built-in generators and transformers.",
    ),
    Entry(
        "KNR2307",
        "An app has too many or too large files",
        "The folders that the app reads exceed the renderer's limits.",
        _KEPT + "Split the app, or move files that it does not need elsewhere.",
    ),
    Entry(
        "KNR2308",
        "A submodule",
        "Submodules are not followed.",
        _KEPT + "Add the other repository as a source.",
    ),
    Entry(
        "KNR2309",
        "Bases refer to each other in a circle or too deep",
        "A kustomization is its own base, directly or through others, or the chain is too long.",
        _KEPT + "Untangle the bases.",
    ),
    Entry(
        "KNR2310",
        "Not a usable path",
        "The path is empty, too long, not UTF-8, or holds characters that no tool agrees on.",
        _KEPT + "Rename the file.",
    ),
    Entry(
        "KNR2311",
        "A field that Knarr does not render",
        "kustomize's Helm fields run another tool and fetch charts.",
        _KEPT + "Make the chart an app of its own with the helm renderer.",
    ),
    Entry(
        "KNR2312",
        "Two paths differ only in case",
        "They are one file on some systems, so the result would depend on where it is rendered.",
        _KEPT + "Rename one of them.",
    ),
    # --- tools --------------------------------------------------------------------------------------------------
    Entry(
        "KNR2401",
        "The renderer refuses the input",
        "kustomize, helm or jsonnet ended with an error; the message is its own.",
        _KEPT + "Correct the input; the tool says the same on your machine.",
    ),
    Entry(
        "KNR2402",
        "The renderer took too long",
        "It did not end within its time. An app that ran out of time has half of it the next time, until a change "
        "works or some minutes pass.",
        _KEPT + "Look for loops in templates, or split the app.",
    ),
    Entry(
        "KNR2403",
        "The renderer took too much memory or was killed",
        "It exceeded its memory, or tried what the sandbox forbids.",
        _KEPT + "Look for templates that multiply, or split the app.",
    ),
    Entry(
        "KNR2404",
        "The renderer's output is too large",
        "It wrote more than the limit.",
        _KEPT + "Look for templates that multiply, or split the app.",
    ),
    Entry(
        "KNR2405",
        "A renderer is not available",
        "The tool that the app needs is not installed here, or its name is unknown.",
        _KEPT + "Use another renderer, or set the tool's path in the renderer's settings.",
    ),
    Entry(
        "KNR2406",
        "The sandbox cannot be set up",
        "This host's kernel lacks seccomp or Landlock.",
        "Run the renderer on a kernel of 5.13 or newer, or accept the risk in the settings and trust your sources.",
    ),
    Entry(
        "KNR2407",
        "A chart asks the cluster",
        "`lookup` needs a cluster; the renderer has none, and the result would differ from run to run.",
        _KEPT + "Give the value through values or variables.",
    ),
    Entry(
        "KNR2408",
        "A chart is incomplete or broken",
        "Chart.yaml is wrong, or a dependency is neither in charts/ nor has an address to fetch it from.",
        _KEPT + "Give the dependency an https://, oci:// or file:// repository, or commit it in charts/.",
    ),
    Entry(
        "KNR2409",
        "The renderer's process failed",
        "The machine had no room for another process, or it died before it began.",
        "It is tried again. If it stays, look at the memory and process limits of the renderer.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR2410",
        "The chart is not in the snapshot",
        "helm.chart, or a dependency in Chart.yaml, names a chart that the fetcher's lock of the commit does not hold.",
        _KEPT + "Wait for the fetcher's next look. On a laptop such an app is checked only with --fetch-charts.",
    ),
    Entry(
        "KNR2411",
        "helm.chart and another folder",
        "helm.chart takes the place of the folder that is rendered: no `path`, overlay or other renderer can hold.",
        _KEPT + "Remove either of them.",
    ),
    Entry(
        "KNR2412",
        "An app of another source is still being rendered",
        "A commit waits for its own source's apps, and for those of others only some seconds.",
        _KEPT + "It is looked at again at once, with its own source. Look for what makes it slow if it stays.",
        ErrorKind.RETRYABLE,
    ),
    # --- objects ------------------------------------------------------------------------------------------------
    Entry(
        "KNR2501",
        "Not a Kubernetes object",
        "A document lacks apiVersion, kind or metadata.name.",
        _KEPT + "Complete it, or move the file out of the app's folder.",
    ),
    Entry(
        "KNR2502",
        "An object is there twice",
        "Two documents of the app are the same object.",
        _KEPT + "Remove one of them.",
    ),
    Entry(
        "KNR2503",
        "A name that Kubernetes does not take",
        "Names are lower-case letters, digits, hyphens and dots.",
        _KEPT + "Rename the object.",
    ),
    Entry(
        "KNR2504",
        "Plain data in a Secret",
        "Everyone who reads the repository reads it; base64 is plain text.",
        _KEPT + "Encrypt it with SOPS, or set allowPlaintextSecrets in knarr.yaml if that is really meant.",
    ),
    Entry(
        "KNR2505",
        "A namespace where there is none",
        "The kind is not namespaced, but the object names a namespace.",
        _KEPT + "Remove metadata.namespace.",
    ),
    Entry(
        "KNR2507",
        "Too many objects",
        "An app holds more objects than the limit.",
        _KEPT + "Split the app.",
    ),
    Entry(
        "KNR2508",
        "An object is too large",
        "etcd would refuse it.",
        _KEPT + "Split the object, or keep the data elsewhere.",
    ),
    Entry(
        "KNR2509",
        "A removed API",
        "The target's Kubernetes version no longer serves this apiVersion.",
        _KEPT + "Move to the apiVersion that the message names.",
    ),
    Entry(
        "KNR2510",
        "An object does not fit its schema",
        "A field is unknown, missing or of the wrong type for the target's Kubernetes version.",
        _KEPT + "Correct the field that the message names.",
    ),
    Entry(
        "KNR2511",
        "An unknown kind",
        "Neither Kubernetes nor a CustomResourceDefinition in the fleet defines it.",
        _KEPT + "Correct apiVersion and kind, or add the CRD to an app.",
    ),
    Entry(
        "KNR2512",
        "SOPS metadata is broken",
        "The encrypted document would not decrypt in the cluster.",
        _KEPT + "Encrypt it again with sops and age.",
    ),
    Entry(
        "KNR2513",
        "A label that is Knarr's own",
        "Knarr marks its objects with it; Git must not.",
        _KEPT + "Remove the label.",
    ),
    Entry(
        "KNR2514",
        "An object claimed by two apps",
        "In one cluster two apps hold the same object; the first one keeps it, the other is refused.",
        "Let one app hold it. A move in one commit is a transfer.",
    ),
    Entry(
        "KNR2515",
        "An annotation for the agent is wrong",
        "A hook, wave, delete policy or prune annotation says something that no agent knows and would pass over.",
        _KEPT + "Correct the annotation; docs/reference/documents.md lists the words.",
    ),
    Entry(
        "KNR2590",
        "An app could not be rendered",
        "The program failed where it should not; other apps are not touched.",
        _KEPT + "It is tried again at the next commit. Report it with the log event.",
        ErrorKind.BUG,
    ),
    # --- snapshots and publishing -------------------------------------------------------------------------------
    Entry(
        "KNR2601",
        "A snapshot's content is not at hand",
        "A file that the commit names could not be read.",
        "It is read again. If it stays, push any commit: the fetcher publishes what is missing.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR2602",
        "No snapshot yet",
        "The fetcher has not published a commit of this source.",
        "It is tried again. Look at the source's state if it stays.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR2603",
        "A newer revision was published meanwhile",
        "Another replica was quicker, or a newer commit arrived.",
        "It is tried again from the newest state.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR2604",
        "A snapshot's manifest is broken",
        "The list of the commit's files does not fit together.",
        "Nothing is deleted. Push any commit; if it stays, report this as a bug.",
    ),
    Entry(
        "KNR2609",
        "A part of a commit is not stored",
        "A manifest or pack that the source's newest commit names is not in the stream SNAPSHOTS.",
        "The source stays at the commit before; others go on. The fetcher has been told and stores it again within "
        "seconds. If it stays, look at the fetcher.",
        ErrorKind.RETRYABLE,
    ),
    # --- bounds of a source -------------------------------------------------------------------------------------
    Entry(
        "KNR2605",
        "Out of its source's bounds",
        "The app touches a namespace or holds a kind that `bounds` of its source in fleet.yaml do not allow.",
        _KEPT + "Take the object out, or widen the bounds. The agent's own namespace is nobody's; the cluster's own "
        "namespaces need `systemNamespaces`.",
    ),
    Entry(
        "KNR2606",
        "A target outside its source's bounds",
        "The app's targets name clusters that `bounds.clusters` of its source in fleet.yaml do not allow.",
        "These clusters keep what they have, the others go on. Narrow the target, or widen the bounds.",
    ),
    Entry(
        "KNR2607",
        "Another service account than the source's",
        "fleet.yaml binds everything of the source to one service account, and the app names another.",
        _KEPT + "Remove `serviceAccount` from knarr.yaml, or change the source's bounds.",
    ),
    Entry(
        "KNR2608",
        "A hook of a protected kind",
        "A hook is deleted and made again; a Namespace, CRD, PersistentVolume or PersistentVolumeClaim would take with "
        "it what cannot be brought back.",
        _KEPT
        + "Remove the hook's annotations (commonAnnotations may set them by accident): it is then an ordinary object.",
    ),
)
