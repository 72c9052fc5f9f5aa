//! How a part of a contract is declared: `#[apply(checks!)]` on an `impl` whose functions are its checks.
//!
//! It makes the type that the `impl` is for, and a macro of the same name for the suites in `lib.rs`: that one expands to one
//! `#[test]` for each function. Compared with a registry that is filled before `main` (`inventory`, `linkme`)
//! it needs neither link sections nor a runner of its own, and the checks can be generic.

macro_rules! checks {
    (
        $(#[$doc:meta])*
        impl<$H:ident: $Harness:ident> $Part:ident<$Of:ident> {
            $($(#[$about:meta])* pub fn $check:ident() $body:block)+
        }
    ) => {
        $(#[$doc])*
        pub struct $Part<$H>(std::marker::PhantomData<$H>);

        impl<$H: $Harness> $Part<$Of> {
            $($(#[$about])* pub fn $check() $body)+
        }

        each_a_test! { ($) $Part: $($check)+ }
    };
}

/// `$d` is a dollar sign: this macro writes one.
macro_rules! each_a_test {
    (($d:tt) $Part:ident: $($check:ident)+) => {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $Part {
            ($d(#[$d attribute:meta])* $d harness:ty) => {
                $(
                    #[test]
                    $d(#[$d attribute])*
                    fn $check() {
                        $crate::parts::$Part::<$d harness>::$check();
                    }
                )+
            };
        }
    };
}
