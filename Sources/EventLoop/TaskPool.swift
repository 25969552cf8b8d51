/// Tasks of one loop that do one piece of work after the other. For work that comes often and is soon done: the making
/// of a task and of the memory that its calls need would be a good part of it.
///
/// `@unchecked Sendable`: touched only on its loop.
public final class TaskPool: @unchecked Sendable {
    /// One piece of work.
    public struct Run: Sendable {
        fileprivate let member: Member
        fileprivate let number: UInt64

        /// Cancels the task that does the work, unless the work is done. On the loop.
        public func cancel() {
            if member.number == number { member.task?.cancel() }
        }
    }

    /// `@unchecked Sendable`: as its pool.
    fileprivate final class Member: @unchecked Sendable {
        var task: LoopTask?
        /// Of the piece of work that it does; another one once that is done.
        var number: UInt64 = 0
        var work: (@Sendable () async -> Void)?
        /// Set while it rests.
        var rest: UnsafeContinuation<Void, Never>?

        func takeWork() -> (@Sendable () async -> Void)? {
            defer { work = nil }
            return work
        }
    }

    private unowned let loop: EventLoop
    private var resting: [Member] = []
    private var isClosed = false

    /// Each keeps the memory of the deepest call that it has made.
    private static let limit = 16

    init(loop: EventLoop) { self.loop = loop }

    /// Has `work` done in a later turn, by a task that stays on this loop. On the loop.
    public func run(_ work: @escaping @Sendable () async -> Void) -> Run {
        loop.preconditionCurrent()
        if let member = resting.popLast() {
            member.work = work
            member.rest.take()?.resume()
            return Run(member: member, number: member.number)
        }
        let member = Member()
        member.work = work
        member.task = loop.spawn { [self] in
            repeat { await member.takeWork()?() } while await hasMore(member)
            member.task = nil
        }
        return Run(member: member, number: member.number)
    }

    /// Rests until there is more to do. A task that was cancelled does nothing more.
    private func hasMore(_ member: Member) async -> Bool {
        member.number += 1
        guard !Task.isCancelled, !isClosed, resting.count < Self.limit else { return false }
        resting.append(member)
        await withUnsafeContinuation { member.rest = $0 }
        return member.work != nil
    }

    /// Lets those go that rest.
    func close() {
        isClosed = true
        let members = resting
        resting = []
        for member in members { member.rest.take()?.resume() }
    }
}
