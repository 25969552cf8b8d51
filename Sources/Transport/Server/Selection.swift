internal import Base

/// What of a representation a GET or HEAD is answered with (RFC 9110, sections 13.2.2 and 14.2).
enum Selection: Equatable {
    case whole
    case part(Range<Int64>)
    case notModified
    case preconditionFailed
    case unsatisfiable

    /// The representation that would be sent whole.
    struct Representation {
        /// With its quotes, as in the `etag` field.
        var entityTag: String?
        /// As in the `last-modified` field.
        var lastModified: String?
        /// Where parts of it can be sent.
        var length: Int64?
        /// Seconds since 1970-01-01 UTC.
        var now: Int64
    }

    init(_ headers: HTTPHeaders, isGet: Bool, _ representation: Representation) {
        let tag = representation.entityTag.flatMap { EntityTag($0) }
        let now = representation.now
        let modified = representation.lastModified.flatMap { HTTPDate.seconds($0, now: now) }
        func date(_ name: String) -> Int64? { headers[name].flatMap { HTTPDate.seconds($0, now: now) } }

        if let tag, headers.contains("if-match") {
            guard EntityTag.List(headers.values("if-match")).contains({ $0.matchesStrongly(tag) }) else {
                self = .preconditionFailed
                return
            }
        } else if let modified, let limit = date("if-unmodified-since"), modified > limit {
            self = .preconditionFailed
            return
        }
        if headers.contains("if-none-match") {
            if let tag, EntityTag.List(headers.values("if-none-match")).contains({ $0.matchesWeakly(tag) }) {
                self = .notModified
                return
            }
        } else if let modified, let limit = date("if-modified-since"), modified <= limit {
            self = .notModified
            return
        }
        self = isGet ? Self.range(headers, representation, tag) : .whole
    }

    private static func range(_ headers: HTTPHeaders, _ representation: Representation, _ tag: EntityTag?) -> Selection
    {
        guard let length = representation.length, length > 0,
            headers.values("range").count == 1, let range = headers["range"].flatMap({ ByteRange($0) })
        else { return .whole }
        if let condition = headers["if-range"] {
            let isSame =
                EntityTag(condition).map { asked in tag.map { asked.matchesStrongly($0) } ?? false }
                ?? (condition == representation.lastModified)
            guard isSame else { return .whole }
        }
        return range.resolved(length: length).map { .part($0) } ?? .unsatisfiable
    }
}
