// The Glibc module leaves <sys/xattr.h> out; these are its functions (getxattr(2), setxattr(2), removexattr(2)).
// Integers and pointers only, for which Swift's calling convention is C's on the platforms that Pail runs on.

@_silgen_name("fgetxattr")
func fgetxattr(_ descriptor: Int32, _ name: UnsafePointer<CChar>, _ value: UnsafeMutableRawPointer?, _ size: Int) -> Int

@_silgen_name("fsetxattr")
func fsetxattr(
    _ descriptor: Int32, _ name: UnsafePointer<CChar>, _ value: UnsafeRawPointer?, _ size: Int, _ flags: Int32
) -> Int32

@_silgen_name("fremovexattr")
func fremovexattr(_ descriptor: Int32, _ name: UnsafePointer<CChar>) -> Int32
