import Domain
import Testing
import WorkerProtocol

@Suite struct OutputCursorTests {
    private static let whole = OutputMark(totalBytes: 30, headBytes: 20, tailBytes: 10, sha256: "")
    private static let capped = OutputMark(totalBytes: 500, headBytes: 20, tailBytes: 10, sha256: "")

    @Test func `bytes go as far as the credit, then wait`() {
        var cursor = OutputCursor(from: 5)
        #expect(cursor.next(length: 20, mark: nil, limit: 12) == .data(offset: 5, count: 7))
        cursor.sent(7)
        #expect(cursor.next(length: 20, mark: nil, limit: 12) == .awaitCredit)
        #expect(cursor.next(length: 12, mark: nil, limit: 12) == .awaitGrowth)
    }

    @Test func `a stream that was kept whole is data to its end`() {
        var cursor = OutputCursor(from: 0)
        #expect(cursor.next(length: 30, mark: Self.whole, limit: 100) == .data(offset: 0, count: 30))
        cursor.sent(30)
        #expect(cursor.next(length: 30, mark: Self.whole, limit: 100) == .end(total: 30))
    }

    @Test func `a capped stream ends with its tail, at the place where the process wrote it`() {
        var cursor = OutputCursor(from: 20)
        #expect(cursor.next(length: 30, mark: Self.capped, limit: 0) == .tail(place: 490, offset: 20, count: 10))
        cursor.sent(10)
        #expect(cursor.next(length: 30, mark: Self.capped, limit: 0) == .end(total: 500))
    }

    @Test func `a tail that the server has in part is sent whole`() {
        var cursor = OutputCursor(from: 26)
        #expect(cursor.next(length: 30, mark: Self.capped, limit: 0) == .tail(place: 490, offset: 20, count: 10))
        cursor.sent(10)
        #expect(cursor.next(length: 30, mark: Self.capped, limit: 0) == .end(total: 500))
        #expect(OutputCursor(from: 30).next(length: 30, mark: Self.capped, limit: 0) == .end(total: 500))
    }

    @Test func `without the mark no byte is taken for a tail`() {
        let cursor = OutputCursor(from: 20)
        #expect(cursor.next(length: 20, mark: nil, limit: 100) == .awaitGrowth)
    }

    @Test func `bytes that are gone leave only the total to tell`() {
        var cursor = OutputCursor(from: 3)
        cursor.giveUp()
        #expect(cursor.next(length: 30, mark: nil, limit: 100) == .awaitGrowth)
        #expect(cursor.next(length: 30, mark: Self.whole, limit: 100) == .end(total: 30))
    }

    @Test func `what is stored is acknowledged once, and never what was not sent`() {
        var cursor = OutputCursor(from: 3)
        cursor.sent(4)
        #expect(cursor.stored(3) == nil)
        #expect(cursor.stored(100) == 7)
        #expect(cursor.stored(7) == nil)
    }
}
