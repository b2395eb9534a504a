import Glibc
import Primitives

/// A thread that takes no signal but `wakeSignal`, by which a blocking call in it ends with EINTR.
struct KernelThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// A real-time signal that glibc leaves to programs (signal(7)).
    private static let wakeSignal = __libc_current_sigrtmin()

    init(_ run: @escaping @Sendable () -> Void) throws(Errno) {
        Self.installHandler
        var blocked = sigset_t()
        var before = sigset_t()
        sigfillset(&blocked)
        sigdelset(&blocked, Self.wakeSignal)
        pthread_sigmask(SIG_SETMASK, &blocked, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw Errno(code)
        }
        self.thread = thread
    }

    /// Ends a blocking call the thread is in; one that it is about to make is not, so call it again until it has ended.
    func wake() { pthread_kill(thread, Self.wakeSignal) }

    func detach() { pthread_detach(thread) }

    func join() { pthread_join(thread, nil) }

    /// A handler that does nothing, without SA_RESTART.
    private static let installHandler: Void = {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(wakeSignal, &action, nil)
    }()
}
