package interop;

import org.springframework.cloud.stream.annotation.StreamListener;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.stereotype.Service;

/** The older way: every handler reads every event as its own and looks whether it is. */
@Service
public class PolicyHandler {

    private final Validators validators;

    public PolicyHandler(Validators validators) {
        this.validators = validators;
    }

    @StreamListener(KafkaProcessor.INPUT)
    public void wheneverSendSuccess(@Payload SendSuccess event) {
        if (event.isMe()) {
            validators.validate(event);
        }
    }

    @StreamListener(KafkaProcessor.INPUT)
    public void wheneverCanceled(@Payload Canceled event) {
        if (event.isMe()) {
            validators.cancel(event);
        }
    }
}
