import Database
import Testing

@Suite struct GatheringTests {
    @Test func `whoever comes alone waits for nobody`() {
        var gathering = Gathering()
        #expect(gathering.patience(having: 1) == .zero)
        gathering.committed(1, in: .milliseconds(4))
        #expect(gathering.patience(having: 1) == .zero)
    }

    @Test func `a group waits a share of a commit for as many as shared the last one`() {
        var gathering = Gathering()
        gathering.committed(100, in: .milliseconds(4))
        #expect(gathering.patience(having: 40) == .microseconds(500))
        #expect(gathering.patience(having: 100) == .zero)
        #expect(gathering.patience(having: 0) == .zero)
        gathering.committed(40, in: .seconds(2))
        #expect(gathering.patience(having: 39) == .milliseconds(1))
    }
}
