import API
import Domain
import Testing

/// Where a hand-over can be stopped: at every message of every conversation that two servers have about one, before it is
/// heard and before its answer is. The states of both sides follow from the machine.
struct HandOverStop: Sendable, CustomTestStringConvertible {
    /// Who talks to whom, and about what.
    enum Conversation: String, CaseIterable, Sendable {
        /// The source drives.
        case send
        /// The destination drives.
        case pull
        /// A source that has rolled back tells of it.
        case rollBack
        /// A source that a person gave the workspace back tells the other owner.
        case take

        /// Kinds of messages, and both ways that the archive takes, in their order.
        var steps: [String] {
            switch self {
            case .send: ["offer", "deliver", "prepare", "commit"]
            case .pull: ["request", "pack", "fetch", "decide", "settled"]
            case .rollBack: ["abort"]
            case .take: ["superseded"]
            }
        }

        /// The stop of a send in which this conversation begins.
        var prelude: HandOverStop? {
            switch self {
            case .send, .pull: nil
            case .rollBack: HandOverStop(.send, "prepare", .after)
            case .take: HandOverStop(.send, "commit", .after)
            }
        }
    }

    enum Moment: String, CaseIterable, Sendable { case before, after }

    /// Of both sides; nil before a side knows of it.
    struct States: Sendable, Equatable {
        var source: HandOverState?
        var destination: HandOverState?
    }

    var conversation: Conversation
    var step: String
    var moment: Moment

    init(_ conversation: Conversation, _ step: String, _ moment: Moment) {
        self.conversation = conversation
        self.step = step
        self.moment = moment
    }

    var testDescription: String { "\(conversation.rawValue) \(moment.rawValue) \(step)" }

    static let all = Conversation.allCases.flatMap { conversation in
        conversation.steps.flatMap { step in Moment.allCases.map { HandOverStop(conversation, step, $0) } }
    }

    /// What the machines of both sides are in when it stops here.
    var states: States {
        get throws {
            let sides = try sides
            return States(source: sides.source?.state, destination: sides.destination?.state)
        }
    }

    private var sides: Sides {
        get throws {
            var sides = try conversation.prelude.map { try $0.sides } ?? Sides()
            for said in conversation.steps {
                try sides.willSay(said)
                if said == step, moment == .before { break }
                try sides.hears(said)
                if said == step { break }
                try sides.isAnswered(said)
            }
            return sides
        }
    }

    /// Both ends, as they move with what is said.
    private struct Sides {
        var source: HandOverMachine?
        var destination: HandOverMachine?

        /// What whoever says it has done before.
        mutating func willSay(_ step: String) throws {
            switch step {
            case "offer": source = .source(epoch: 2)
            case "decide": try destination?.prepare()
            case "settled": try destination?.own()
            case "abort": try source?.abort()
            case "superseded": try source?.take()
            default: break
            }
        }

        mutating func hears(_ step: String) throws {
            switch step {
            case "offer": destination = .destination(epoch: 2)
            case "prepare": try destination?.prepare()
            case "commit": try destination?.own()
            case "request": source = .source(epoch: 2)
            case "decide": try source?.commit()
            case "settled": try source?.finish()
            case "abort": try destination?.abort()
            case "superseded": if let epoch = source?.epoch { try destination?.supersede(by: epoch) }
            default: break
            }
        }

        mutating func isAnswered(_ step: String) throws {
            switch step {
            case "prepare": try source?.commit()
            case "request": destination = .destination(epoch: 2)
            default: break
            }
        }
    }
}
