/// The text of a ``JSONTextEncoder`` so far, and what it must know to go on.
struct JSONTextState {
    /// What the value that is being encoded has turned out to be.
    enum Shape {
        case none  // → object, array, single
        case object
        case array
        case single
    }

    /// The value that is being encoded: the ones around it wait on the call stack of `writeValue(_:)`.
    struct Frame {
        var shape = Shape.none
        /// Where its text begins.
        var start: Int
        /// Its first member in `members`.
        var firstMember: Int
        /// Members of an object or elements of an array so far.
        var count = 0
        /// Whether every name so far was greater than the one before it.
        var isSorted = true
    }

    struct Member {
        /// The whole member, name included, without commas.
        var start: Int
        var end: Int
        var nameStart: Int
        var nameEnd: Int
        /// The first eight bytes of the name, the first one highest; settles most comparisons.
        var prefix: UInt64
        /// Its place in `escapedNames`, where the name is not written as it is.
        var escaped = -1
    }

    var text = JSONTextBuffer()
    var frame = Frame(start: 0, firstMember: 0)
    var members: [Member] = []
    var nested: [(place: Int, encoder: JSONTextEncoder)] = []
    private var escapedNames: [String] = []

    /// A type may ask for its container several times, as a subclass and its superclass do.
    mutating func begin(_ shape: Shape, _ bracket: UInt8) {
        guard case .none = frame.shape else { return }
        frame.shape = shape
        text.append(bracket)
    }

    mutating func markSingle() {
        if case .none = frame.shape { frame.shape = .single }
    }

    mutating func single(_ literal: StaticString) {
        markSingle()
        literal.withUTF8Buffer { text.append($0) }
    }

    mutating func beginElement() {
        if frame.count > 0 { text.append(UInt8(ascii: ",")) }
        frame.count += 1
    }

    mutating func beginMember(_ name: String) {
        beginElement()
        let start = text.count
        var name = name
        let isEscaped = name.withUTF8 { text.appendQuoted($0) }
        var member = Member(
            start: start,
            end: start,
            nameStart: start + 1,
            nameEnd: text.count - 1,
            prefix: text.prefix(from: start + 1, to: text.count - 1)
        )
        if isEscaped {
            member.escaped = escapedNames.count
            escapedNames.append(name)
        }
        text.append(UInt8(ascii: ":"))
        if frame.isSorted, frame.count > 1, let last = members.last { frame.isSorted = precedes(last, member) }
        members.append(member)
    }

    mutating func endMember() { members[members.count - 1].end = text.count }

    /// Puts the text of a nested encoder in its place.
    mutating func insert(_ inner: JSONTextBuffer, at place: Int) {
        text.insert(inner, at: place)
        for index in frame.firstMember..<members.count {
            if members[index].nameStart > place {
                members[index].start += inner.count
                members[index].nameStart += inner.count
                members[index].nameEnd += inner.count
            }
            if members[index].end >= place { members[index].end += inner.count }
        }
    }

    mutating func close() {
        switch frame.shape {
        case .none: single("{}")
        case .object:
            if !frame.isSorted { sortMembers() }
            text.append(UInt8(ascii: "}"))
        case .array: text.append(UInt8(ascii: "]"))
        case .single: break
        }
        members.removeLast(members.count - frame.firstMember)
    }

    /// Insertion keeps the order of equal names; the last of them stays, as in a dictionary.
    private mutating func sortMembers() {
        let first = frame.firstMember
        var end = first
        for index in first..<members.count {
            let member = members[index]
            var place = end
            while place > first, precedes(member, members[place - 1]) { place -= 1 }
            if place > first, !precedes(members[place - 1], member) {
                members[place - 1] = member
                continue
            }
            var hole = end
            while hole > place {
                members[hole] = members[hole - 1]
                hole -= 1
            }
            members[place] = member
            end += 1
        }
        text.rearrange(from: frame.start + 1, members[first..<end].lazy.map { $0.start..<$0.end })
    }

    /// By the bytes of the names' UTF-8. Mutating, and `name` too, only so that the compiler makes no copy of all this.
    private mutating func precedes(_ left: Member, _ right: Member) -> Bool {
        if left.escaped < 0, right.escaped < 0 {
            if left.prefix != right.prefix { return left.prefix < right.prefix }
            return text.isOrdered(left.nameStart..<left.nameEnd, right.nameStart..<right.nameEnd)
        }
        return name(left).utf8.lexicographicallyPrecedes(name(right).utf8)
    }

    private mutating func name(_ member: Member) -> String {
        member.escaped < 0 ? text.string(member.nameStart..<member.nameEnd) : escapedNames[member.escaped]
    }
}
