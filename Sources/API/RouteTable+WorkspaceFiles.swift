extension RouteTable {
    private static let root = "/v1/workspaces/{workspaceId}/files"
    private static let path = Route.Parameter(
        "path",
        .string(),
        "within the workspace, default its checkout; symlinks are followed as long as they stay there"
    )

    /// Files of a workspace's checkout, as the environment's user sees them. All of them wake the environment.
    static let workspaceFiles: [Route] = [
        Route(
            .fileList,
            .get,
            root,
            .read,
            "What is in a directory, by path.",
            query: [
                path,
                .init("depth", .integer(minimum: 1, maximum: 64), "levels, default 1"),
                .init("limit", .integer(minimum: 1, maximum: 20_000), "entries, default 5000"),
            ],
            answer: .json(.fileListing)
        ),
        Route(.fileStat, .get, root + "/stat", .read, "One entry itself.", query: [path], answer: .json(.fileEntry)),
        Route(
            .fileRead,
            .get,
            root + "/content",
            .read,
            "A file's bytes, with its entity tag.",
            query: [
                path,
                .init("offset", .integer(minimum: 0), "first byte, default 0"),
                .init("length", .integer(minimum: 0), "bytes, default to the end"),
            ],
            answer: .bytes
        ),
        Route(
            .fileWrite,
            .put,
            root + "/content",
            .run,
            "Write a file as a whole: it keeps its old content until the new one is there. `If-Match` with an entity tag "
                + "refuses to overwrite another's change, `If-None-Match: *` any file.",
            query: [
                path,
                .init("mode", .string(), "permission bits of a new file in octal, default 644"),
                .init("parents", .boolean, "make the directories above it; default false"),
            ],
            takesBytes: true,
            answer: .json(.fileEntry),
            isAudited: true
        ),
        Route(
            .fileRemove,
            .delete,
            root,
            .run,
            "Remove a file, a symlink or a directory.",
            query: [path, .init("recursive", .boolean, "with what is in it; default false")],
            answer: .json(.fileTally),
            isAudited: true
        ),
        Route(
            .fileMakeDirectory,
            .post,
            root + "/directories",
            .run,
            "Make a directory; one that is there already is as good.",
            body: .makeDirectory,
            answer: .json(.fileEntry),
            isAudited: true
        ),
        Route(
            .fileMove,
            .post,
            root + "/move",
            .run,
            "Move or rename.",
            body: .moveFile,
            answer: .json(.fileEntry),
            isAudited: true
        ),
        Route(
            .fileSearch,
            .get,
            root + "/search",
            .read,
            "Search by name, by content, or both. What git ignores is left out, and binary files by content.",
            query: [
                path,
                .init("name", .string(), "part of a path, or with * ? [ a pattern (glob(7)) of its name"),
                .init("text", .string(), "part of a line"),
                .init("pattern", .boolean, "text is an extended regular expression; default false"),
                .init("ignoreCase", .boolean, "default false"),
                .init("ignored", .boolean, "also what git ignores; default false"),
                .init("limit", .integer(minimum: 1, maximum: 5_000), "matches, default 500"),
            ],
            answer: .json(.fileMatches)
        ),
        Route(
            .fileWatch,
            .get,
            root + "/watch",
            .read,
            "What changes below a directory: `ready`, then `change` with a list of path and kind (created, changed, removed; "
                + "overflowed: look at everything again). Several changes of a path within 50 ms are one.",
            query: [path],
            answer: .serverSentEvents
        ),
        Route(
            .treeDownload,
            .get,
            root + "/tree",
            .read,
            "A directory, or a file, as a tar archive (POSIX.1-2001).",
            query: [path],
            answer: .bytes
        ),
        Route(
            .treeUpload,
            .put,
            root + "/tree",
            .run,
            "Unpack a tar archive below a directory, which is made if need be; files that are there are replaced.",
            query: [path],
            takesBytes: true,
            answer: .json(.fileTally),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let fileEntry = Schema.object(
        name: "FileEntry",
        members: [
            .required("path", .string(), "within the workspace"),
            .required("kind", .string(values: ["file", "directory", "symlink", "other"]), "what it is"),
            .required("size", .integer(), "bytes of a file"),
            .required("mode", .string(), "permission bits in octal"),
            .required("modifiedAt", time, "when"),
            .optional("etag", .string(), "of a file: changes with every change"),
            .optional("target", .string(), "where a symlink points"),
        ]
    )

    static let fileListing = Schema.object(
        name: "FileListing",
        members: [
            .required("items", .array(fileEntry), "by path"),
            .required("isTruncated", .boolean, "whether there is more"),
        ]
    )

    static let fileMatches = Schema.object(
        name: "FileMatches",
        members: [
            .required(
                "items",
                .array(
                    .object(
                        name: "FileMatch",
                        members: [
                            .required("path", .string(), "within the workspace"),
                            .optional("line", .integer(), "from 1"),
                            .optional("column", .integer(), "from 1, in bytes"),
                            .optional("text", .string(), "the line, at most 400 bytes of it"),
                        ]
                    )
                ),
                "in the order of their paths"
            ),
            .required("isTruncated", .boolean, "whether there is more"),
        ]
    )

    static let fileTally = Schema.object(
        name: "FileTally",
        members: [
            .required("files", .integer(), "files"),
            .required("directories", .integer(), "directories"),
            .required("symlinks", .integer(), "symlinks"),
            .required("bytes", .integer(), "of files' content"),
        ]
    )

    static let makeDirectory = Schema.object(
        name: "MakeDirectory",
        members: [
            .required("path", .string(), "within the workspace"),
            .optional("parents", .boolean, "also those above it; default false"),
        ]
    )

    static let moveFile = Schema.object(
        name: "MoveFile",
        members: [
            .required("from", .string(), "within the workspace"),
            .required("to", .string(), "its new path, or a directory that it is moved into"),
            .optional("replace", .boolean, "whether it may take the place of what is there; default false"),
        ]
    )
}
