import Testing

@testable import Providers

@Suite struct AccountNameTests {
    @Test func `a user's name is found by its number, and nothing else passes for it`() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n"
        #expect(AccountName.find(1000, in: text) == "me")
        #expect(AccountName.find(0, in: text) == "root")
        #expect(AccountName.find(7, in: text) == nil)
    }
}
