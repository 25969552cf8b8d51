internal import Base
internal import Carriage
internal import FoundationEssentials
internal import Glibc
internal import WorkerProtocol

/// `berth-worker carriage VERB ORDER`: one step of a hand-over in a process of its own, with the rights of the user whose
/// files they are. Prints a ``ServiceAnswer``.
enum CarriageProgram {
    static func run(_ arguments: [String]) -> CInt {
        do {
            guard arguments.count == 2, let order = FileManager.default.contents(atPath: arguments[1]) else {
                throw BerthError(.usage, "carriage needs a verb and an order")
            }
            print(try perform(arguments[0], Array(order)))
            return 0
        } catch {
            let known = BerthError(wrapping: error)
            if let detail = known.detail { try? OpenedFile.write(Array((detail + "\n").utf8), to: STDERR_FILENO) }
            let refusal = ServiceAnswer<ServiceDone>(refusal: ServiceRefusal(known))
            print(String(decoding: (try? JSONText.encode(refusal)) ?? [], as: UTF8.self))
            return 1
        }
    }

    private static func perform(_ verb: String, _ order: [UInt8]) throws -> String {
        switch verb {
        case "pack": return try answer(try Packer.pack(try JSONText.decode(PackOrder.self, from: order)))
        case "restore": return try answer(try Restorer.restore(try JSONText.decode(RestoreOrder.self, from: order)))
        case "settle": try Settler.settle(try JSONText.decode(RestoreOrder.self, from: order))
        case "discard":
            let order = try JSONText.decode(RestoreOrder.self, from: order)
            try Restorer.discard(order)
            try Settler.removeEarlier(order)
        case "orphan":
            let order = try JSONText.decode(OrphanOrder.self, from: order)
            let commit = try Settler.keepOrphan(
                checkout: order.checkout,
                home: order.home,
                programs: order.programs,
                branch: order.branch
            )
            return try answer(OrphanedVersion(branch: order.branch, commit: commit))
        default: throw BerthError(.usage, "there is no step '\(verb)'")
        }
        return try answer(ServiceDone())
    }

    private static func answer(_ value: some Sendable & Codable) throws -> String {
        String(decoding: try JSONText.encode(ServiceAnswer(value: value)), as: UTF8.self)
    }
}
