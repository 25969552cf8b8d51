/// What happens when: a binary heap by time, and within one moment by the order of entry. The heap moves numbers only; the
/// events lie still.
struct Agenda<Event> {
    private struct Entry {
        var at: Int64
        var number: UInt64
        var place: Int

        func isBefore(_ other: Entry) -> Bool { at != other.at ? at < other.at : number < other.number }
    }

    private var heap: [Entry] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var entered: UInt64 = 0

    var nextAt: Int64? { heap.first?.at }

    mutating func add(_ event: Event, at: Int64) {
        let place: Int
        if let known = free.popLast() {
            place = known
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        let entry = Entry(at: at, number: entered, place: place)
        entered += 1
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.isBefore(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = entry
    }

    mutating func takeNext() -> (at: Int64, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        free.append(first.place)
        guard let event = events[first.place].take() else { return nil }
        return (first.at, event)
    }

    private mutating func sink(_ entry: Entry) {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= heap.count { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(entry) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = entry
    }
}
