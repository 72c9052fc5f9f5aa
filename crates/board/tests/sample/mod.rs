//! A bakery: small, with everything that a board can show, and with names that would break careless markup.

use kernel::rejection::Never;
use kernel::view::Happened;
use kernel::{
    Aggregate, CommandFor, Context, Decision, Domain, Effect, EffectCall, Event, EventMetadata, New, NoEffect, NoSettings,
    Question, Reaction, RetrySafety, Row, Service, System, resource, view,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! facts {
    ($($(#[$about:meta])* $name:ident),*) => {
        $($(#[$about])* #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { pub order: String })*
    };
}

facts!(
    /// Somebody wants bread.
    Ordered,
    /// The bread is in the oven <b>"hot" & loud</b>.
    Baking,
    /// The bread is done.
    Baked,
    /// No flour was left, or the oven is cold.
    NotBakedAfterAllBecauseOfTheOven,
    /// Nobody else cares.
    Warmed,
    /// Published by nobody here.
    FlourArrived
);

impl Event for FlourArrived {
    const TYPE: &'static str = "FlourArrived";
}

macro_rules! thing {
    ($thing:ident, $name:literal, $effect:ty, $command:ident { $($(#[$about:meta])* $case:ident),* }, $event:ident { $($fact:ident $({ $private:ident })?),* }) => {
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        pub struct $thing {}
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        pub enum $command { $($(#[$about])* $case),* }
        kernel::events! { pub enum $event { $($fact $({ $private })?),* } }
        impl Aggregate for $thing {
            const NAME: &'static str = $name;
            type Command = $command;
            type Event = $event;
            type Effect = $effect;
            type Rejection = Never;
            type Settings = NoSettings;
            fn decide(_: Option<&Self>, _: &$command, _: &Context<'_>) -> Result<Decision<Self>, Never> {
                Ok(Decision::nothing())
            }
            fn evolve(now: Option<Self>, _: &$event) -> Option<Self> {
                now
            }
        }
    };
}

thing!(
    Order,
    "order",
    NoEffect,
    Ask {
        /** A customer orders. */
        Place,
        /** The bread is there. */
        Close
    },
    OrderSays { Ordered }
);
thing!(
    Loaf,
    "loaf",
    Oven,
    Bake {
        /** Into the oven with it. */
        Start,
        /** What the oven said. */
        Heard
    },
    LoafSays {
        Baking,
        Baked,
        NotBakedAfterAllBecauseOfTheOven,
        Warmed { private }
    }
);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Oven {}
impl Effect for Oven {
    const PORT: &'static str = "oven";
    type Reply = String;
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PriceOfFlour {}
impl Question for PriceOfFlour {
    const PORT: &'static str = "price-list";
    type Answer = u64;
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sale {
    id: Option<u64>,
    timeline: Vec<Happened>,
}
impl Row for Sale {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

kernel::policies! {
    /// Whenever bread is ordered, it is baked; "at once".
    fn bake(ordered: &Ordered) -> CommandFor<Loaf> {
        CommandFor::new(&ordered.order, Bake::Start)
    }

    /// Whenever a loaf is baked, its order is closed.
    fn close(baked: &Baked) -> CommandFor<Order> {
        CommandFor::new(&baked.order, Ask::Close)
    }

    /// Whenever flour arrives, baking goes on.
    fn restock(arrived: &FlourArrived) -> CommandFor<Loaf> {
        CommandFor::new(&arrived.order, Bake::Start)
    }
}

fn note<E: Event>(row: &mut Sale, _: &E, seen: &EventMetadata) {
    Happened::from(seen).insert(&mut row.timeline);
}

/// The sample.
pub fn bakery() -> System {
    System::new("bakery", "bread", "From an order to a loaf.")
        .service(
            Service::new("shop", 9001, Domain::Core, "The customer's side.")
                .resource::<Order, Order>(
                    resource("orders", "What customers want.", |order: &Order, _| order.clone())
                        .create("Orders bread.", |_: kernel::resource::NoBody| Ok(New::keyed(None, Ask::Place)))
                        .delete("Thinks better of it.", || Ask::Close),
                )
                .whenever(close),
        )
        .service(
            Service::new("bakehouse", 9002, Domain::Supporting, "Where it is hot <script>alert('no')</script>.")
                .aggregate::<Loaf>()
                .whenever(bake)
                .whenever(restock.from_now())
                .effect_handler(RetrySafety::Idempotent, |_: &Oven, _: &EffectCall<'_>, _: &NoSettings| {
                    Reaction::reply("hot".to_owned())
                })
                .answers(|_: &PriceOfFlour| Some(1)),
        )
        .service(
            Service::new("books", 9003, Domain::General, "What was sold.").view(
                view::<Sale>("sales", "Every order and what became of it.")
                    .on::<Ordered>(note)
                    .on::<Baking>(note)
                    .on::<Baked>(note)
                    .on::<NotBakedAfterAllBecauseOfTheOven>(note),
            ),
        )
}
