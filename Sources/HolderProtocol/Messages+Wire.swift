extension Request {
    public func frame(number: UInt64) -> [UInt8] {
        var writer = WireWriter()
        let kind: UInt8
        switch self {
        case .hello(let version):
            kind = 1
            writer.put(version)
        case .ping: kind = 2
        case .spawn(let request):
            kind = 3
            request.encode(to: &writer)
        case .list: kind = 4
        case .descriptors(let id):
            kind = 5
            writer.put(id)
        case .signal(let id, let number, let scope):
            kind = 6
            writer.put(id)
            writer.put(number)
            writer.put(scope.rawValue)
        case .terminate(let id, let graceMs):
            kind = 7
            writer.put(id)
            writer.put(graceMs)
        case .resize(let id, let columns, let rows):
            kind = 8
            writer.put(id)
            writer.put(columns)
            writer.put(rows)
        case .closeInput(let id):
            kind = 9
            writer.put(id)
        case .forget(let id):
            kind = 10
            writer.put(id)
        }
        let count: UInt8 = if case .spawn(let request) = self, request.input == .descriptor { 1 } else { 0 }
        return FrameHeader(length: writer.bytes.count, kind: kind, descriptorCount: count, number: number).bytes
            + writer.bytes
    }

    public init(_ frame: Frame) throws(WireError) {
        var reader = WireReader(frame.payload)
        switch frame.header.kind {
        case 1: self = .hello(version: try reader.integer())
        case 2: self = .ping
        case 3: self = .spawn(try SpawnRequest(from: &reader))
        case 4: self = .list
        case 5: self = .descriptors(id: try reader.string())
        case 6:
            let id = try reader.string()
            let number: Int32 = try reader.integer()
            guard let scope = SignalScope(rawValue: try reader.integer()) else { throw .invalidValue("scope") }
            self = .signal(id: id, number: number, scope: scope)
        case 7: self = .terminate(id: try reader.string(), graceMs: try reader.integer())
        case 8: self = .resize(id: try reader.string(), columns: try reader.integer(), rows: try reader.integer())
        case 9: self = .closeInput(id: try reader.string())
        case 10: self = .forget(id: try reader.string())
        default: throw .unknownKind(frame.header.kind)
        }
    }
}

extension HolderMessage {
    public var frame: [UInt8] {
        var writer = WireWriter()
        let kind: UInt8
        var number: UInt64 = 0
        var count = 0
        switch self {
        case .reply(let reply, let request):
            number = request
            (kind, count) = reply.encode(to: &writer)
        case .event(.exited(let status)):
            kind = 96
            status.encode(to: &writer)
        }
        let header = FrameHeader(
            length: writer.bytes.count,
            kind: kind,
            descriptorCount: UInt8(count),
            number: number
        )
        return header.bytes + writer.bytes
    }

    public init(_ frame: Frame) throws(WireError) {
        var reader = WireReader(frame.payload)
        if frame.header.kind == 96 {
            self = .event(.exited(try ChildStatus(from: &reader)))
        } else {
            self = .reply(try Reply(kind: frame.header.kind, from: &reader), to: frame.header.number)
        }
    }
}

extension Reply {
    /// Returns the frame's kind and how many descriptors go with it.
    fileprivate func encode(to writer: inout WireWriter) -> (kind: UInt8, descriptors: Int) {
        switch self {
        case .done: return (64, 0)
        case .hello(let version, let holderPID):
            writer.put(version)
            writer.put(holderPID)
            return (65, 0)
        case .child(let status, let roles):
            status.encode(to: &writer)
            writer.put(UInt8(roles.count))
            for role in roles { writer.put(role.rawValue) }
            return (66, roles.count)
        case .children(let children):
            writer.put(UInt32(children.count))
            for child in children { child.encode(to: &writer) }
            return (67, 0)
        case .failure(let failure):
            failure.encode(to: &writer)
            return (68, 0)
        }
    }

    fileprivate init(kind: UInt8, from reader: inout WireReader) throws(WireError) {
        switch kind {
        case 64: self = .done
        case 65: self = .hello(version: try reader.integer(), holderPID: try reader.integer())
        case 66:
            let status = try ChildStatus(from: &reader)
            var roles: [DescriptorRole] = []
            for _ in 0..<(try reader.integer(UInt8.self)) {
                guard let role = DescriptorRole(rawValue: try reader.integer()) else { throw .invalidValue("role") }
                roles.append(role)
            }
            self = .child(status, roles: roles)
        case 67:
            var children: [ChildStatus] = []
            for _ in 0..<(try reader.integer(UInt32.self)) { children.append(try ChildStatus(from: &reader)) }
            self = .children(children)
        case 68: self = .failure(try Failure(from: &reader))
        default: throw .unknownKind(kind)
        }
    }
}
